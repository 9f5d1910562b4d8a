;; Attack: an answer with a decision that the contract does not have.
;; Must happen: the call ends with `trap`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (func (export "on-start") (param i32) (result i32)
    (i32.store8 (i32.const 68) (i32.const 200))
    (i32.const 64)))
