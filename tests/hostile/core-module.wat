;; Attack: a core module, with an export that has a handler's name.
;; Must happen: refused at upload, with what to do about it.
(module
  (func (export "on-start") (param i32) (result i32) (i32.const 0)))
