;; Attack: output streams that are never dropped, without an end.
;; Must happen: at `limits.handles` the host gives no more: `trap`.
(core module $Attack
  (import "wasi" "stdout" (func $stdout (result i32)))
  (func (export "on-start") (param i32) (result i32)
    (loop $more
      (drop (call $stdout))
      (br $more))
    unreachable))
