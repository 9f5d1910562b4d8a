;; Attack: a host call on a handle the guest was never given.
;; Must happen: the call ends with `trap`.
(core module $Attack
  (import "wasi" "block" (func $block (param i32)))
  (func (export "on-start") (param i32) (result i32)
    (call $block (i32.const 4711))
    (i32.const 0)))
