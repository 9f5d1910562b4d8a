;; Attack: more memories than a sandbox has slots for.
;; Must happen: refused at upload.
(core module $Room (memory 1))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core instance (instantiate $Room))
(core module $Attack
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
