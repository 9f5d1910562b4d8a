;; Attack: a line of 100 MB for the log. The binding allows 256 MiB of memory, so that
;; the guest can hold it.
;; Must happen: the host does not take it (`limits.host_call_bytes`): `trap`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "log" "write" (func $write (param i32 i32 i32)))
  (func (export "on-start") (param i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 1600)) (i32.const -1)) (then (return (i32.const 0))))
    (call $write (i32.const 2) (i32.const 65536) (i32.const 100000000))
    (i32.const 0)))
