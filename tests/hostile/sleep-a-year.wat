;; Attack: a host call that comes back in a year.
;; Must happen: the call ends at its deadline, with `timeout`.
(core module $Attack
  (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
  (import "wasi" "block" (func $block (param i32)))
  (func (export "on-start") (param i32) (result i32)
    (call $block (call $subscribe (i64.const 31536000000000000)))
    (i32.const 0)))
