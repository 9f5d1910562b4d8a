;; Attack: the key-value store, without a grant.
;; Must happen: a normal error (`denied`), which the guest finds here and then answers.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "kv" "get" (func $get (param i32 i32 i32)))
  (data (i32.const 1024) "key")
  (func (export "on-start") (param i32) (result i32)
    (call $get (i32.const 1024) (i32.const 3) (i32.const 64))
    (if (i32.eqz (i32.load8_u (i32.const 64))) (then unreachable))
    ;; `denied` has six letters.
    (if (i32.ne (i32.load (i32.const 72)) (i32.const 6)) (then unreachable))
    (i32.const 0)))
