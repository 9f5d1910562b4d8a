;; Attack: log lines without an end.
;; Must happen: `limits.log_lines` are kept and the rest is counted, until the call
;; ends with `cpu`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "log" "write" (func $write (param i32 i32 i32)))
  (func (export "on-start") (param i32) (result i32)
    (memory.fill (i32.const 1024) (i32.const 0x41) (i32.const 3000))
    (loop $again
      (call $write (i32.const 2) (i32.const 1024) (i32.const 3000))
      (br $again))
    unreachable))
