;; Attack: recursion without an end, to run over the stack.
;; Must happen: the call ends with `trap`, and the host's own stack is whole.
(core module $Attack
  (func $deeper (param $depth i64) (result i64)
    (i64.add (i64.const 1) (call $deeper (i64.add (local.get $depth) (i64.const 1)))))
  (func (export "on-start") (param i32) (result i32)
    (drop (call $deeper (i64.const 0)))
    (i32.const 0)))
