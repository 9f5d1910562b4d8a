;; Attack: all the memory there is, written again and again by single instructions
;; (`memory.fill`), inside of which no guest can be interrupted.
;; Must happen: the call ends with `cpu`; neighbours are not held up meanwhile.
(core module $Attack
  (import "env" "memory" (memory 1))
  (func (export "on-start") (param i32) (result i32)
    (drop (memory.grow (i32.const 900)))
    (loop $again
      (memory.fill (i32.const 65536) (i32.const 1) (i32.const 58982400))
      (br $again))
    unreachable))
