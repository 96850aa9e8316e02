;; SPDX-License-Identifier: AGPL-3.0-or-later
;; A worker of the evening of chaos: small, since there are very many. Now and then it greets its friend, who greets back;
;; and it ends in every way there is, when it is told to.
;;
;; A message is a letter and what belongs to it. What is not for it is left out.
(module
  (import "hearth/1" "exit" (func $exit (param i32 i32)))
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (import "hearth/1" "timer" (func $timer (param i64 i64) (result i32)))
  (import "hearth/1" "random" (func $random (param i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  ;; 0: a random number. 8: a greeting. 9: the answer to one. 0x400: the signal that was taken.
  (data (i32.const 8) "HA")
  (global $taken i32 (i32.const 0x400))
  (global $friend (mut i64) (i64.const 0))

  (func (export "start")
    ;; The first time soon.
    (call $later (i64.const 0) (i64.const 5000000000)))

  (func (export "wake") (local $len i32)
    (loop $next
      (local.set $len (call $try_recv (global.get $taken) (i32.const 0x2000)))
      (if (i32.ge_s (local.get $len) (i32.const 24))
        (then
          (if (i32.eq (i32.load16_u (global.get $taken)) (i32.const 4))
            (then
              (call $greet)
              (call $later (i64.const 20000000000) (i64.const 20000000000))))
          (if (i32.and
                (i32.eq (i32.load16_u (global.get $taken)) (i32.const 1))
                (i32.gt_u (local.get $len) (i32.const 24)))
            (then (call $message
              (i32.load8_u offset=24 (global.get $taken))
              (i32.add (global.get $taken) (i32.const 25))
              (i32.sub (local.get $len) (i32.const 25)))))
          (br $next)))))

  ;; Wakes after at least so long, and at most so much longer.
  (func $later (param $least i64) (param $more i64)
    (drop (call $random (i32.const 0) (i32.const 8)))
    (drop (call $timer
      (i64.add (local.get $least) (i64.rem_u (i64.load (i32.const 0)) (local.get $more)))
      (i64.const 1))))

  ;; A friend that is no more, or has much to do, does not hear it.
  (func $greet
    (if (i64.ne (global.get $friend) (i64.const 0))
      (then (drop (call $send (global.get $friend) (i32.const 8) (i32.const 1))))))

  (func $message (param $letter i32) (param $at i32) (param $len i32)
    (if (i32.eq (local.get $letter) (i32.const 0x48)) ;; H: a greeting
      (then (drop (call $send (i64.load offset=8 (global.get $taken)) (i32.const 9) (i32.const 1)))))
    (if (i32.eq (local.get $letter) (i32.const 0x46)) ;; F: a friend
      (then
        (global.set $friend (i64.load (local.get $at)))
        (call $greet)))
    (if (i32.eq (local.get $letter) (i32.const 0x54)) ;; T: a trap
      (then
        (call $say (local.get $at) (local.get $len))
        (call $trap)))
    (if (i32.eq (local.get $letter) (i32.const 0x58)) ;; X: the end, with a reason
      (then (call $exit (local.get $at) (local.get $len))))
    (if (i32.eq (local.get $letter) (i32.const 0x4c)) ;; L: for ever
      (then
        (call $say (local.get $at) (local.get $len))
        (loop $again (br $again))))
    (if (i32.eq (local.get $letter) (i32.const 0x4d)) ;; M: all memory
      (then
        (call $say (local.get $at) (local.get $len))
        (call $leak)))
    (if (i32.eq (local.get $letter) (i32.const 0x53)) ;; S: the whole stack
      (then
        (call $say (local.get $at) (local.get $len))
        (drop (call $deeper (i32.const 0)))))
    (if (i32.eq (local.get $letter) (i32.const 0x4e)) ;; N: a flood of a neighbour, then the end
      (then
        (call $flood (i64.load (local.get $at)))
        (call $exit (i32.add (local.get $at) (i32.const 8)) (i32.sub (local.get $len) (i32.const 8))))))

  (func $say (param $at i32) (param $len i32)
    (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (local.get $at) (local.get $len))))

  (func $trap unreachable)

  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))

  ;; Takes memory, and writes into every page of it, until there is no more.
  (func $leak (local $at i32) (local $pages i32)
    (loop $more
      (local.set $pages (memory.grow (i32.const 16)))
      (if (i32.lt_s (local.get $pages) (i32.const 0))
        (then (call $trap)))
      (local.set $at (i32.shl (local.get $pages) (i32.const 16)))
      (loop $page
        (i32.store (local.get $at) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $page (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
      (br $more)))

  ;; Sends until the mailbox is full. Any other refusal is an end that nobody expects.
  (func $flood (param $to i64) (local $result i32)
    (loop $next
      (local.set $result (call $send (local.get $to) (i32.const 9) (i32.const 1)))
      (br_if $next (i32.eqz (local.get $result))))
    (if (i32.ne (local.get $result) (i32.const -6))
      (then (call $trap))))
)
