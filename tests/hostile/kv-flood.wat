;; Attack: keys without an end in the key-value store.
;; Must happen: at `limits.kv_operations` the guest gets a normal error, which it finds
;; here and then answers; without one it would loop until `cpu`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "env" "free" (global $free (mut i32)))
  (import "kv" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32)))
  (func (export "on-start") (param i32) (result i32)
    (local $n i64) (local $mark i32)
    (local.set $mark (global.get $free))
    (loop $more
      (global.set $free (local.get $mark))
      ;; A key of eight characters, another one each time.
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (i64.store (i32.const 1024) (i64.or (i64.const 0x6060606060606060)
        (i64.or (i64.and (local.get $n) (i64.const 15))
          (i64.or (i64.shl (i64.and (local.get $n) (i64.const 0xf0)) (i64.const 4))
            (i64.shl (i64.and (local.get $n) (i64.const 0xf00)) (i64.const 8))))))
      (call $set (i32.const 1024) (i32.const 8) (i32.const 1024) (i32.const 8)
        (i32.const 0) (i64.const 0) (i32.const 64))
      (br_if $more (i32.eqz (i32.load8_u (i32.const 64)))))
    ;; The code of the error: `limit-exceeded` or `quota-exceeded`.
    (if (i32.ne (i32.load (i32.const 72)) (i32.const 14)) (then unreachable))
    (i32.const 0)))
