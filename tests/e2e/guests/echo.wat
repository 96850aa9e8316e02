;; SPDX-License-Identifier: AGPL-3.0-or-later
;; Sends every message back to its sender at once.
(module
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "send" (func $send (param i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "start"))
  (func (export "wake") (local $len i32)
    (loop $next
      (local.set $len (call $try_recv (i32.const 0) (i32.const 0x10000)))
      (if (i32.ge_s (local.get $len) (i32.const 24))
        (then
          (if (i32.eq (i32.load16_u (i32.const 0)) (i32.const 1))
            (then (drop (call $send (i64.load (i32.const 8)) (i32.const 24)
              (i32.sub (local.get $len) (i32.const 24))))))
          (br $next))))))
