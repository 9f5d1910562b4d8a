;; Attack: an answer of 100 MB. The binding allows 256 MiB of memory.
;; Must happen: the host does not take it (`limits.host_call_bytes`): `trap`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (func (export "on-start") (param i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 1600)) (i32.const -1)) (then (return (i32.const 0))))
    ;; ok(reject(100 MB))
    (i32.store (i32.const 68) (i32.const 1))
    (i32.store (i32.const 72) (i32.const 65536))
    (i32.store (i32.const 76) (i32.const 100000000))
    (i32.const 64)))
