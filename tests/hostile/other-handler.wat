;; Attack: a handler of the contract by its name, with another function's type.
;; Must happen: refused at upload, before the host takes one for the other.
(component
  (core module $Attack (func (export "on-start") (param i32) (result i32) (i32.const 0)))
  (core instance $attack (instantiate $Attack))
  (func $on-start (param "call" u32) (result u32) (canon lift (core func $attack "on-start")))
  (instance $handler (export "on-start" (func $on-start)))
  (export "hookswitch:plugin/start-handler@1.0.0" (instance $handler)))
