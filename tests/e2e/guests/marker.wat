;; SPDX-License-Identifier: AGPL-3.0-or-later
;; Makes one entity that belongs to it: creates it, and names it `marker`.
(module
  (import "hearth/1" "entity_ids" (func $entity_ids (param i32) (result i64)))
  (import "hearth/1" "scene_apply" (func $scene_apply (param i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; Create: 1, entity, shared. Set: 4, entity, kind 2 (name), length 6, text.
  (data (i32.const 0) "\01........\00\04........\02\00\06\00\00\00marker")
  (func (export "start") (local $id i64)
    (local.set $id (call $entity_ids (i32.const 1)))
    (i64.store (i32.const 1) (local.get $id))
    (i64.store (i32.const 11) (local.get $id))
    (if (i32.ne (call $scene_apply (i32.const 0) (i32.const 31)) (i32.const 0))
      (then unreachable))
    (drop (call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 25) (i32.const 6))))
  (func (export "wake")))
