;; Attack: a host call with an enum's value that the enum does not have.
;; Must happen: the call ends with `trap`.
(core module $Attack
  (import "log" "write" (func $write (param i32 i32 i32)))
  (func (export "on-start") (param i32) (result i32)
    (call $write (i32.const 99) (i32.const 1024) (i32.const 3))
    (i32.const 0)))
