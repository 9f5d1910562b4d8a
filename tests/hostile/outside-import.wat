;; Attack: an import outside of the contract and of WASI.
;; Must happen: refused at upload, with the import's name.
(component
  (import "acme:backdoor/shell@1.0.0" (instance $shell
    (export "run" (func (param "command" string)))))
  (core module $Attack (func (export "on-start") (param i32) (result i32) (i32.const 0)))
  (core instance $attack (instantiate $Attack))
  (func $on-start (param "call" u32) (result u32) (canon lift (core func $attack "on-start")))
  (instance $handler (export "on-start" (func $on-start)))
  (export "hookswitch:plugin/start-handler@1.0.0" (instance $handler)))
