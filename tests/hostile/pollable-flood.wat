;; Attack: timers that are never dropped, without an end.
;; Must happen: at `limits.handles` the host gives no more: `trap`.
(core module $Attack
  (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
  (func (export "on-start") (param i32) (result i32)
    (loop $more
      (drop (call $subscribe (i64.const 1000000000)))
      (br $more))
    unreachable))
