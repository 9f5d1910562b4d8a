;; Attack: more tables than a sandbox has slots for.
;; Must happen: refused at upload.
(core module $Attack
  (table 1 funcref) (table 1 funcref) (table 1 funcref)
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
