;; Attack: 2^64 - 1 random bytes in one request.
;; Must happen: the host has a largest request: `trap`.
(core module $Attack
  (import "wasi" "random" (func $random (param i64 i32)))
  (func (export "on-start") (param i32) (result i32)
    (call $random (i64.const -1) (i32.const 64))
    (i32.const 0)))
