;; Attack: one memory of 4 GiB from the beginning.
;; Must happen: refused at upload: no sandbox has room for it.
(core module $Room (memory 65536))
(core instance (instantiate $Room))
(core module $Attack
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
