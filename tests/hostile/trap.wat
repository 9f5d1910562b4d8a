;; Attack: none; it breaks at once, as often as it is called.
;; Must happen: the call ends with `trap`.
(core module $Attack
  (func (export "on-start") (param i32) (result i32) unreachable))
