;; Attack: an endless loop in the start function, so that it never gets to a call.
;; Must happen: refused at upload, where the component is started once.
(core module $Attack
  (func $spin (loop $for-ever (br $for-ever)))
  (start $spin)
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
