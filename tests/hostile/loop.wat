;; Attack: an endless loop without a host call.
;; Must happen: the call ends with `cpu`.
(core module $Attack
  (func (export "on-start") (param i32) (result i32)
    (loop $for-ever (br $for-ever))
    unreachable))
