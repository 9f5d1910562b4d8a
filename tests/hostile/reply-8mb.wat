;; Attack: an answer of 8 MB, which one host call may carry and a reply may not.
;; Must happen: the answer is refused (`limits.reply_bytes`): `invalid_answer`.
(core module $Attack
  (import "env" "memory" (memory 1))
  (func (export "on-start") (param i32) (result i32)
    (drop (memory.grow (i32.const 160)))
    (memory.fill (i32.const 65536) (i32.const 0x41) (i32.const 8000000))
    ;; ok(reject(8 MB))
    (i32.store (i32.const 68) (i32.const 1))
    (i32.store (i32.const 72) (i32.const 65536))
    (i32.store (i32.const 76) (i32.const 8000000))
    (i32.const 64)))
