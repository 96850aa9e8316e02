;; SPDX-License-Identifier: AGPL-3.0-or-later
;; Does what a message tells it, and replies with what came of it: a test's hands inside a peer.
;;
;; A message is three words of 8 bytes (what to do, and two numbers) and further bytes. The reply is a
;; word with the result and further bytes; that of a request is what the request's own reply holds, and the
;; requester is kept in its tag, so any number may be under way.
(module
  (import "hearth/1" "self" (func $self (result i64)))
  (import "hearth/1" "peer" (func $peer (result i32)))
  (import "hearth/1" "origin" (func $origin (result i32)))
  (import "hearth/1" "args" (func $args (param i32 i32) (result i32)))
  (import "hearth/1" "exit" (func $exit (param i32 i32)))
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (import "hearth/1" "spawn" (func $spawn (param i32 i32 i32 i32 i32) (result i64)))
  (import "hearth/1" "spawn_on" (func $spawn_on (param i32 i32 i32 i32 i32 i32 i64) (result i32)))
  (import "hearth/1" "kill" (func $kill (param i64 i32 i32) (result i32)))
  (import "hearth/1" "register" (func $register (param i32 i32) (result i32)))
  (import "hearth/1" "whereis" (func $whereis (param i32 i32) (result i64)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  (import "hearth/1" "lump_put" (func $lump_put (param i32 i32 i32 i64) (result i32)))
  (import "hearth/1" "lump_read" (func $lump_read (param i32 i64 i32 i32 i64) (result i32)))
  (import "hearth/1" "lump_size" (func $lump_size (param i32 i32 i64) (result i32)))
  (import "hearth/1" "lump_push" (func $lump_push (param i32 i32 i64) (result i32)))
  (import "hearth/1" "asset_load" (func $asset_load (param i32 i32 i32 i64) (result i32)))
  (import "hearth/1" "entity_ids" (func $entity_ids (param i32) (result i64)))
  (import "hearth/1" "scene_apply" (func $scene_apply (param i32 i32) (result i32)))
  (import "hearth/1" "scene_read" (func $scene_read (param i64 i32 i32 i32) (result i32)))
  (import "hearth/1" "input_subscribe" (func $input_subscribe (param i32) (result i32)))
  (import "hearth/1" "pointer_capture" (func $pointer_capture (param i32) (result i32)))
  (import "hearth/1" "peer_name" (func $peer_name (param i32 i32 i32) (result i32)))
  (import "hearth/1" "file_load" (func $file_load (param i32 i32 i64) (result i32)))
  (import "hearth/1" "command" (func $command (param i32 i32 i64) (result i32)))

  ;; 0x10000: the signal that was taken. 0x210000: what is replied.
  (memory (export "memory") 66)
  (data (i32.const 0) "hands are ready")
  (global $taken i32 (i32.const 0x10000))
  (global $reply i32 (i32.const 0x210000))

  (func (export "start")
    (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 15))))

  (func (export "wake")
    (local $len i32)
    (loop $next
      (local.set $len (call $try_recv (global.get $taken) (i32.const 0x200000)))
      (if (i32.ge_s (local.get $len) (i32.const 24))
        (then
          (call $signal (local.get $len))
          (br $next)))))

  (func $signal (param $len i32) (local $tag i64)
    (if (i32.eq (i32.load16_u (global.get $taken)) (i32.const 5))
      (then
        ;; The reply to a request: its status and body go to who asked, whose id is the tag.
        (local.set $tag (i64.load offset=16 (global.get $taken)))
        (i64.store offset=16 (global.get $taken) (i64.load32_s offset=4 (global.get $taken)))
        (drop (call $send (local.get $tag)
          (i32.add (global.get $taken) (i32.const 16)) (i32.sub (local.get $len) (i32.const 16))))))
    (if (i32.and
          (i32.eq (i32.load16_u (global.get $taken)) (i32.const 1))
          (i32.ge_u (local.get $len) (i32.const 48)))
      (then (call $message (i32.sub (local.get $len) (i32.const 48))))))

  (func $message (param $len i32)
    (local $what i64) (local $from i64) (local $a i64) (local $b i64) (local $at i32)
    (local $result i64) (local $more i32)
    (local.set $from (i64.load offset=8 (global.get $taken)))
    (local.set $what (i64.load offset=24 (global.get $taken)))
    (local.set $a (i64.load offset=32 (global.get $taken)))
    (local.set $b (i64.load offset=40 (global.get $taken)))
    (local.set $at (i32.add (global.get $taken) (i32.const 48)))
    (local.set $result (i64.const -2))

    ;; What is answered at once.
    (if (i64.eq (local.get $what) (i64.const 1)) ;; self
      (then
        (local.set $result (call $self))))
    (if (i64.eq (local.get $what) (i64.const 2)) ;; origin
      (then
        (local.set $result (i64.extend_i32_s (call $origin)))))
    (if (i64.eq (local.get $what) (i64.const 3)) ;; peer
      (then
        (local.set $result (i64.extend_i32_s (call $peer)))))
    (if (i64.eq (local.get $what) (i64.const 4)) ;; entity_ids(a)
      (then
        (local.set $result (call $entity_ids (i32.wrap_i64 (local.get $a))))))
    (if (i64.eq (local.get $what) (i64.const 5)) ;; scene_apply(rest)
      (then
        (local.set $result (i64.extend_i32_s (call $scene_apply (local.get $at) (local.get $len))))))
    (if (i64.eq (local.get $what) (i64.const 6)) ;; scene_read(a, b)
      (then
        (local.set $more (call $scene_read (local.get $a) (i32.wrap_i64 (local.get $b)) (i32.add (global.get $reply) (i32.const 8)) (i32.const 4096)))
        (local.set $result (i64.extend_i32_s (local.get $more)))))
    (if (i64.eq (local.get $what) (i64.const 7)) ;; send(a, rest)
      (then
        (local.set $result (i64.extend_i32_s (call $send (local.get $a) (local.get $at) (local.get $len))))))
    (if (i64.eq (local.get $what) (i64.const 8)) ;; kill(a, rest)
      (then
        (local.set $result (i64.extend_i32_s (call $kill (local.get $a) (local.get $at) (local.get $len))))))
    (if (i64.eq (local.get $what) (i64.const 9)) ;; spawn(module: rest)
      (then
        (local.set $result (call $spawn (local.get $at) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))
    (if (i64.eq (local.get $what) (i64.const 10)) ;; log(a, rest)
      (then
        (local.set $result (i64.extend_i32_s (call $log (i32.wrap_i64 (local.get $a)) (i32.const 0) (i32.const 0) (local.get $at) (local.get $len))))))
    (if (i64.eq (local.get $what) (i64.const 11)) ;; input_subscribe(a)
      (then
        (local.set $result (i64.extend_i32_s (call $input_subscribe (i32.wrap_i64 (local.get $a)))))))
    (if (i64.eq (local.get $what) (i64.const 12)) ;; pointer_capture(a)
      (then
        (local.set $result (i64.extend_i32_s (call $pointer_capture (i32.wrap_i64 (local.get $a)))))))
    (if (i64.eq (local.get $what) (i64.const 13)) ;; register(rest)
      (then
        (local.set $result (i64.extend_i32_s (call $register (local.get $at) (local.get $len))))))
    (if (i64.eq (local.get $what) (i64.const 14)) ;; whereis(rest)
      (then
        (local.set $result (call $whereis (local.get $at) (local.get $len)))))
    (if (i64.eq (local.get $what) (i64.const 15)) ;; peer_name(a)
      (then
        (local.set $more (call $peer_name (i32.wrap_i64 (local.get $a)) (i32.add (global.get $reply) (i32.const 8)) (i32.const 4096)))
        (local.set $result (i64.extend_i32_s (local.get $more)))))
    (if (i64.eq (local.get $what) (i64.const 16)) ;; args
      (then
        (local.set $more (call $args (i32.add (global.get $reply) (i32.const 8)) (i32.const 65536)))
        (local.set $result (i64.extend_i32_s (local.get $more)))))
    (if (i64.eq (local.get $what) (i64.const 17)) ;; the whole memory
      (then
        (local.set $result (i64.extend_i32_s (call $grow_all)))))
    (if (i64.eq (local.get $what) (i64.const 18)) ;; a flood of messages
      (then
        (local.set $result (i64.extend_i32_s (call $flood (local.get $a))))))
    (if (i64.eq (local.get $what) (i64.const 48)) ;; a trap
      (then
        (call $trap_outer)))
    (if (i64.eq (local.get $what) (i64.const 49)) ;; for ever
      (then
        (call $spin)))
    (if (i64.eq (local.get $what) (i64.const 50)) ;; the whole stack
      (then
        (drop (call $deeper (i32.const 0)))))
    (if (i64.eq (local.get $what) (i64.const 51)) ;; the end, with a reason
      (then
        (call $exit (local.get $at) (local.get $len))))
    (if (i64.eq (local.get $what) (i64.const 52)) ;; lines
      (then
        (call $log_flood (i32.wrap_i64 (local.get $a)))))
    ;; Requests: answered later, unless they were refused.
    (block $refused
      (if (i64.eq (local.get $what) (i64.const 32)) ;; lump_put(rest)
        (then
          (local.set $result (i64.extend_i32_s
            (call $lump_put (local.get $at) (local.get $len) (i32.const 1024) (local.get $from))))
          (br $refused)))
      (if (i64.eq (local.get $what) (i64.const 33)) ;; lump_read(rest, a, b)
        (then
          (local.set $result (i64.extend_i32_s
            (call $lump_read (local.get $at) (local.get $a) (i32.wrap_i64 (local.get $b)) (i32.const 60000) (local.get $from))))
          (br $refused)))
      (if (i64.eq (local.get $what) (i64.const 34)) ;; lump_size(rest)
        (then
          (local.set $result (i64.extend_i32_s
            (call $lump_size (local.get $at) (i32.const 60000) (local.get $from))))
          (br $refused)))
      (if (i64.eq (local.get $what) (i64.const 35)) ;; lump_push(rest, a)
        (then
          (local.set $result (i64.extend_i32_s
            (call $lump_push (local.get $at) (i32.wrap_i64 (local.get $a)) (local.get $from))))
          (br $refused)))
      (if (i64.eq (local.get $what) (i64.const 36)) ;; asset_load(class: rest after the id, rest)
        (then
          (local.set $result (i64.extend_i32_s
            (call $asset_load (i32.add (local.get $at) (i32.const 32)) (i32.sub (local.get $len) (i32.const 32)) (local.get $at) (local.get $from))))
          (br $refused)))
      (if (i64.eq (local.get $what) (i64.const 37)) ;; spawn_on(a, rest, args: rest after the id)
        (then
          (local.set $result (i64.extend_i32_s
            (call $spawn_on (i32.wrap_i64 (local.get $a)) (local.get $at) (i32.const 0) (i32.const 0) (i32.add (local.get $at) (i32.const 32)) (i32.sub (local.get $len) (i32.const 32)) (local.get $from))))
          (br $refused)))
      (if (i64.eq (local.get $what) (i64.const 38)) ;; file_load(rest)
        (then
          (local.set $result (i64.extend_i32_s
            (call $file_load (local.get $at) (local.get $len) (local.get $from))))
          (br $refused)))
      (if (i64.eq (local.get $what) (i64.const 39)) ;; command(rest)
        (then
          (local.set $result (i64.extend_i32_s
            (call $command (local.get $at) (local.get $len) (local.get $from))))
          (br $refused)))
      (call $answer (local.get $from) (local.get $result) (local.get $more))
      (return))
    ;; The last of these left what the call returned.
    (if (i64.lt_s (local.get $result) (i64.const 0))
      (then (call $answer (local.get $from) (local.get $result) (i32.const 0)))))

  (func $answer (param $to i64) (param $result i64) (param $more i32)
    (i64.store (global.get $reply) (local.get $result))
    (drop (call $send (local.get $to) (global.get $reply)
      (i32.add (i32.const 8) (select (local.get $more) (i32.const 0)
        (i32.gt_s (local.get $more) (i32.const 0)))))))

  (func $trap_inner (export "trap_inner") unreachable)
  (func $trap_outer (export "trap_outer") (call $trap_inner))
  (func $spin (loop $again (br $again)))
  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
  (func $log_flood (param $lines i32)
    (loop $next
      (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 15)))
      (br_if $next (local.tee $lines (i32.sub (local.get $lines) (i32.const 1))))))
  ;; Sends to a process until it is refused; gives the refusal.
  (func $flood (param $to i64) (result i32) (local $result i32)
    (loop $next
      (local.set $result (call $send (local.get $to) (i32.const 0) (i32.const 15)))
      (br_if $next (i32.eqz (local.get $result))))
    (local.get $result))
  ;; Grows the memory until it is refused; gives the number of pages then.
  (func $grow_all (result i32)
    (loop $next
      (br_if $next (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
    (memory.size))
)
