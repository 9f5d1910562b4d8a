;; Attack: a value of 100 MB for the key-value store. The binding allows 256 MiB of
;; memory.
;; Must happen: the host does not take it (`limits.host_call_bytes`): `trap`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "kv" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32)))
  (data (i32.const 1024) "key")
  (func (export "on-start") (param i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 1600)) (i32.const -1)) (then (return (i32.const 0))))
    (call $set (i32.const 1024) (i32.const 3) (i32.const 65536) (i32.const 100000000)
      (i32.const 0) (i64.const 0) (i32.const 64))
    (i32.const 0)))
