;; SPDX-License-Identifier: AGPL-3.0-or-later
;; Sends what it gets back to its sender, after 5 ms. A message of 8 bytes is the id of a process to begin with.
(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (import "hearth/1" "timer" (func $timer (param i64 i64) (result i32)))
  (memory (export "memory") 1)
  (func (export "start"))
  (func (export "wake") (local $len i32)
    (loop $next
      (local.set $len (call $try_recv (i32.const 0) (i32.const 1024)))
      (if (i32.ge_s (local.get $len) (i32.const 24))
        (then
          (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1))
            (then (drop (call $timer (i64.const 5000000)
              (if (result i64) (i32.eq (local.get $len) (i32.const 32))
                (then (i64.load (i32.const 24)))
                (else (i64.load (i32.const 8))))))))
          (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 4))
            (then (drop (call $send (i64.load (i32.const 16)) (i32.const 0) (i32.const 4)))))
          (br $next))))))
