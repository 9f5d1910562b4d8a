;; Attack: an endless loop in `realloc`, which the host calls while it passes the
;; arguments of the call.
;; Must happen: the call ends with `cpu`.
(core module $Attack
  (import "env" "hook" (table 1 funcref))
  (func $spin (loop $for-ever (br $for-ever)))
  (elem (table 0) (i32.const 0) func $spin)
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
