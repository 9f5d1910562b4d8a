;; Attack: an answer that lies at the end of the memory, and beyond.
;; Must happen: the call ends with `trap`.
(core module $Attack
  (func (export "on-start") (param i32) (result i32) (i32.const 0x7ffffff8)))
