;; SPDX-License-Identifier: AGPL-3.0-or-later
;; Blocks for ever, and never looks at its mailbox.
(module
  (import "hearth/1/blocking" "sleep" (func $sleep (param i64) (result i32)))
  (memory (export "memory") 1)
  (func (export "start")
    (loop $again
      (drop (call $sleep (i64.const 3600000000000)))
      (br $again))))
