;; Attack: memories that are too large together before the first instruction runs.
;; Must happen: refused at upload, where the component is started once.
(core module $Room (memory 900))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core module $Attack
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
