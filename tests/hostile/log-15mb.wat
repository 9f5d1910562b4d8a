;; Attack: lines of 15 MB, just below what one host call may carry, as fast as the
;; host takes them: the work is the host's and not the guest's.
;; Must happen: the call ends with `cpu`; neighbours are not held up meanwhile.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "log" "write" (func $write (param i32 i32 i32)))
  (func (export "on-start") (param i32) (result i32)
    (drop (memory.grow (i32.const 240)))
    ;; Not plain ASCII, which is faster to check.
    (memory.fill (i32.const 65536) (i32.const 0x41) (i32.const 15000000))
    (i32.store16 (i32.const 65536) (i32.const 0xa4c3))
    (loop $again
      (call $write (i32.const 2) (i32.const 65536) (i32.const 15000000))
      (br $again))
    unreachable))
