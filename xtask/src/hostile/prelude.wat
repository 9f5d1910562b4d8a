;; The component around an attack: what a start handler needs of types, memory and
;; imports, so that the files in tests/hostile/ are the attack alone.
;;
;; The attack takes the place of the mark below: a `(core module $Attack …)` that
;; exports `on-start` (the pointer to its arguments) -> (pointer to its answer).
;; It may import
;;   env: memory, realloc, `free` (where the next allocation goes; may be set back),
;;        `hook` (a table of one; its function is called in every realloc)
;;   log: write    config: get    kv: get, set    context: payload, remaining
;;   wasi: subscribe, block, random, stdout, write
;; Memory below 4096 is never allocated. It is zero at first, and 32 zero bytes are
;; the answer `accept`.
(component
  (import "hookswitch:plugin/log@1.0.0" (instance $log
    (type $level' (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level')))
    (export "write" (func (param "level" $level) (param "message" string)))))
  (import "hookswitch:plugin/config@1.0.0" (instance $config
    (export "get" (func (param "key" string) (result (option string))))))
  (import "hookswitch:plugin/context@1.0.0" (instance $context
    (export "payload" (func (result (list u8))))
    (export "remaining-ms" (func (result u64)))))
  (import "hookswitch:plugin/kv@1.0.0" (instance $kv
    (type $error' (record (field "code" string) (field "message" string)))
    (export "error" (type $error (eq $error')))
    (export "get" (func (param "key" string)
      (result (result (option (list u8)) (error $error)))))
    (export "set" (func (param "key" string) (param "value" (list u8))
      (param "ttl-ms" (option u64)) (result (result (error $error)))))))
  (import "wasi:io/error@0.2.0" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $io-failure))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $output-stream (sub resource)))
    (type $stream-error' (variant (case "last-operation-failed" (own $io-failure)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (export "get-stdout" (func (result (own $output-stream))))))

  (core module $Memory
    (memory (export "memory") 1)
    (table (export "hook") 1 funcref)
    (global $free (export "free") (mut i32) (i32.const 4096))
    (type $hook (func))
    (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32)
      (result i32)
      (local $at i32) (local $missing i32)
      (if (i32.eqz (ref.is_null (table.get (i32.const 0))))
        (then (call_indirect (type $hook) (i32.const 0))))
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (local.set $missing (i32.sub
        (i32.shr_u (i32.add (global.get $free) (i32.const 65535)) (i32.const 16)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then unreachable))))
      (memory.copy (local.get $at) (local.get $old) (local.get $had))
      (local.get $at)))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $linear))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $log-write (canon lower (func $log "write") (memory $linear)))
  (core func $config-get (canon lower (func $config "get")
    (memory $linear) (realloc $realloc)))
  (core func $payload (canon lower (func $context "payload")
    (memory $linear) (realloc $realloc)))
  (core func $remaining (canon lower (func $context "remaining-ms")))
  (core func $kv-get (canon lower (func $kv "get")
    (memory $linear) (realloc $realloc)))
  (core func $kv-set (canon lower (func $kv "set")
    (memory $linear) (realloc $realloc)))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $random-bytes (canon lower (func $random "get-random-bytes")
    (memory $linear) (realloc $realloc)))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $stdout-write
    (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
      (memory $linear)))

  ;;; ATTACK

  (core instance $attack (instantiate $Attack
    (with "env" (instance $memory))
    (with "log" (instance (export "write" (func $log-write))))
    (with "config" (instance (export "get" (func $config-get))))
    (with "context" (instance
      (export "payload" (func $payload)) (export "remaining" (func $remaining))))
    (with "kv" (instance (export "get" (func $kv-get)) (export "set" (func $kv-set))))
    (with "wasi" (instance
      (export "subscribe" (func $subscribe))
      (export "block" (func $block))
      (export "random" (func $random-bytes))
      (export "stdout" (func $get-stdout))
      (export "write" (func $stdout-write))))))

  (type $sip' (record
    (field "from-user" (option string)) (field "from-domain" (option string))
    (field "to-user" (option string)) (field "to-domain" (option string))
    (field "diversion" (list string))))
  (export $sip "sip" (type $sip'))
  (type $call' (record
    (field "platform" string) (field "org-id" string) (field "agent-id" string)
    (field "call-id" string) (field "status" string) (field "endpoint" (option string))
    (field "call-data" string) (field "agent-data" string) (field "sip" (option $sip))))
  (export $call "call" (type $call'))
  (type $acceptance' (record
    (field "agent-config" (option string)) (field "additional-data" (option string))))
  (export $acceptance "acceptance" (type $acceptance'))
  (type $start-decision' (variant
    (case "accept" $acceptance) (case "reject" string) (case "forward" string) (case "pass")))
  (export $start-decision "start-decision" (type $start-decision'))
  (func $on-start (param "call" $call) (param "agent-config" string)
    (result (result $start-decision (error string)))
    (canon lift (core func $attack "on-start")
      (memory $linear) (realloc $realloc)))
  (instance $handler (export "on-start" (func $on-start)))
  (export "hookswitch:plugin/start-handler@1.0.0" (instance $handler)))
