;; Attack: a table of ten million elements from the beginning.
;; Must happen: refused at upload: no sandbox has room for it.
(core module $Attack
  (table 10000000 funcref)
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
