;; Attack: a table in each of three modules, grown as far as it goes: a limit of each
;; alone would allow three times the elements.
;; Must happen: `table.grow` is refused at the limit of all together, and the call ends
;; with `memory`.
(core module $Room
  (table 1 funcref)
  (func $grow
    (loop $more
      (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1)))))
  (start $grow))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core module $Attack
  (table 1 funcref)
  (func (export "on-start") (param i32) (result i32)
    (loop $more
      (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1))))
    unreachable))
