;; Attack: a start function that behaves at upload, when there are no settings, and
;; loops for ever when it is started for a call.
;; Must happen: the upload is taken; every call ends with `cpu`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "config" "get" (func $get (param i32 i32 i32)))
  (data (i32.const 1024) "loop")
  (func $start
    (call $get (i32.const 1024) (i32.const 4) (i32.const 64))
    (if (i32.load8_u (i32.const 64))
      (then (loop $for-ever (br $for-ever)))))
  (start $start)
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
