;; Attack: the payload, fetched again and again, each copy over the one before.
;; Must happen: the call ends with `cpu`.
(core module $Attack
  (import "env" "free" (global $free (mut i32)))
  (import "context" "payload" (func $payload (param i32)))
  (func (export "on-start") (param i32) (result i32)
    (local $mark i32)
    (local.set $mark (global.get $free))
    (loop $again
      (global.set $free (local.get $mark))
      (call $payload (i32.const 64))
      (br $again))
    unreachable))
