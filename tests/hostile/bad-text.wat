;; Attack: a host call with text that is not UTF-8.
;; Must happen: the call ends with `trap`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "log" "write" (func $write (param i32 i32 i32)))
  (data (i32.const 1024) "\ff\fe\80")
  (func (export "on-start") (param i32) (result i32)
    (call $write (i32.const 2) (i32.const 1024) (i32.const 3))
    (i32.const 0)))
