;; Attack: two memories more, each grown as far as it goes: a limit of each alone would
;; allow three times the memory.
;; Must happen: the sum is limited, and the call ends with `memory`, having held no more
;; than `limits.memory_bytes`.
(core module $Room
  (memory 1)
  (func $grow (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))))
  (start $grow))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core module $Attack
  (import "env" "memory" (memory 1))
  (func (export "on-start") (param i32) (result i32)
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    unreachable))
