;; Attack: memory, page by page up to the limit, each page written to; then a trap.
;; Must happen: the call ends with `memory`, and the server gives the pages back.
(core module $Attack
  (import "env" "memory" (memory 1))
  (func (export "on-start") (param i32) (result i32)
    (local $page i32)
    (loop $more
      (local.set $page (memory.grow (i32.const 1)))
      (if (i32.ne (local.get $page) (i32.const -1))
        (then
          (i64.store (i32.shl (local.get $page) (i32.const 16)) (i64.const -1))
          (i64.store offset=4096 (i32.shl (local.get $page) (i32.const 16)) (i64.const -1))
          (i64.store offset=32768 (i32.shl (local.get $page) (i32.const 16)) (i64.const -1))
          (br $more))))
    unreachable))
