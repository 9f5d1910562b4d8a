;; Attack: 64 KiB of random bytes, the most of one request, again and again.
;; Must happen: the call ends with `cpu`.
(core module $Attack
  (import "env" "free" (global $free (mut i32)))
  (import "wasi" "random" (func $random (param i64 i32)))
  (func (export "on-start") (param i32) (result i32)
    (local $mark i32)
    (local.set $mark (global.get $free))
    (loop $again
      (global.set $free (local.get $mark))
      (call $random (i64.const 65536) (i32.const 64))
      (br $again))
    unreachable))
