;; Attack: values of 250 kB into the key-value store, as many as it takes.
;; Must happen: at `limits.kv_bytes` (or the space's quota) the guest gets a normal
;; error, which it finds here and then answers.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "env" "free" (global $free (mut i32)))
  (import "kv" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32)))
  (func (export "on-start") (param i32) (result i32)
    (local $n i32) (local $mark i32)
    (drop (memory.grow (i32.const 8)))
    (memory.fill (i32.const 65536) (i32.const 7) (i32.const 250000))
    (local.set $mark (global.get $free))
    (loop $more
      (global.set $free (local.get $mark))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (i32.store (i32.const 1024) (i32.or (i32.const 0x60606060)
        (i32.or (i32.and (local.get $n) (i32.const 15))
          (i32.shl (i32.and (local.get $n) (i32.const 0xf0)) (i32.const 4)))))
      (call $set (i32.const 1024) (i32.const 4) (i32.const 65536) (i32.const 250000)
        (i32.const 0) (i64.const 0) (i32.const 64))
      (br_if $more (i32.eqz (i32.load8_u (i32.const 64)))))
    ;; The code of the error: `limit-exceeded` or `quota-exceeded`.
    (if (i32.ne (i32.load (i32.const 72)) (i32.const 14)) (then unreachable))
    (i32.const 0)))
