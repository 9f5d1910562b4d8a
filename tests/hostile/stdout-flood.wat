;; Attack: standard output without an end, and without the end of a line.
;; Must happen: it counts as log lines, which are limited; the call ends with `cpu`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (import "wasi" "stdout" (func $stdout (result i32)))
  (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
  (func (export "on-start") (param i32) (result i32)
    (local $stream i32)
    (memory.fill (i32.const 1024) (i32.const 0x41) (i32.const 3000))
    (local.set $stream (call $stdout))
    (loop $again
      (call $write (local.get $stream) (i32.const 1024) (i32.const 3000) (i32.const 64))
      (br $again))
    unreachable))
