;; Attack: a setting whose key is 100 MB long. The binding allows 256 MiB of memory.
;; Must happen: the host does not take it (`limits.host_call_bytes`): `trap`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "config" "get" (func $get (param i32 i32 i32)))
  (func (export "on-start") (param i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 1600)) (i32.const -1)) (then (return (i32.const 0))))
    (call $get (i32.const 65536) (i32.const 100000000) (i32.const 64))
    (i32.const 0)))
