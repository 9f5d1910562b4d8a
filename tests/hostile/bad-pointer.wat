;; Attack: a host call with a pointer beyond the guest's memory, so that the trap comes
;; up inside the host.
;; Must happen: the call ends with `trap`; the host reads nothing that is not the guest's.
(core module $Attack
  (import "log" "write" (func $write (param i32 i32 i32)))
  (func (export "on-start") (param i32) (result i32)
    (call $write (i32.const 2) (i32.const 0xfffffff0) (i32.const 0xffff))
    (i32.const 0)))
