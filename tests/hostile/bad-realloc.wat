;; Attack: a `realloc` that gives the host a place beyond the guest's memory to write
;; the arguments to.
;; Must happen: the call ends with `trap`; the host writes nothing there.
(core module $Attack
  (import "env" "free" (global $free (mut i32)))
  (func $start (global.set $free (i32.const 0xffffff00)))
  (start $start)
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
