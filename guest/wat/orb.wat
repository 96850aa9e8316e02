;; SPDX-License-Identifier: AGPL-3.0-or-later
;; A glowing orb, written by hand: the smallest script that shows something and listens.
;;
;; It makes an entity at (-1, 1.5, 3). Send it "red", "green" or "blue" to change its colour.
;; The layout of signals is in docs/formats/guest.md, that of scene batches in docs/formats/scene.md.
(module
  (import "hearth/1" "entity_ids" (func $entity_ids (param i32) (result i64)))
  (import "hearth/1" "scene_apply" (func $scene_apply (param i32 i32) (result i32)))
  (import "hearth/1" "try_recv" (func $try_recv (param i32 i32) (result i32)))
  (import "hearth/1" "log" (func $log (param i32 i32 i32 i32 i32) (result i32)))
  (import "hearth/1" "exit" (func $exit (param i32 i32)))

  ;; The batch at 0, texts at 200, and from 1024 on room for the largest signal (24 bytes and 1 MiB).
  (memory (export "memory") 17)

  ;; Operation 1, create: the entity (set below), and scope 0, shared.
  (data (i32.const 0) "\01........\00")
  ;; Operation 4, set: the entity, component 1 (transform), 40 bytes: place, rotation, scale.
  (data (i32.const 10) "\04........\01\00\28\00\00\00"
    "\00\00\80\bf\00\00\c0\3f\00\00\40\40"                   ;; -1, 1.5, 3
    "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\80\3f"       ;; 0, 0, 0, 1: not turned
    "\00\00\80\3f\00\00\80\3f\00\00\80\3f")                  ;; 1, 1, 1
  ;; Component 2, name.
  (data (i32.const 65) "\04........\02\00\03\00\00\00orb")
  ;; Component 3, mesh: source 2, a ball of radius 0.25.
  (data (i32.const 83) "\04........\03\00\05\00\00\00\02\00\00\80\3e")
  ;; Component 4, material, 44 bytes.
  (data (i32.const 103) "\04........\04\00\2c\00\00\00"
    "\cd\cc\4c\3e\cd\cc\4c\3e\cd\cc\4c\3e\00\00\80\3f"       ;; base colour 0.2, 0.2, 0.2, 1
    "\00\00\00\00\9a\99\19\3f"                               ;; metallic 0, roughness 0.6
    "............"                                           ;; emissive (set below)
    "\00\00\00\00"                                           ;; no flags
    "\00\00\00\00")                                          ;; no textures
  (data (i32.const 200) "orb")
  (data (i32.const 204) "the orb glows")
  (data (i32.const 224) "the scene did not take the orb")

  ;; Writes the emissive colour into the batch.
  (func $color (param $red f32) (param $green f32) (param $blue f32)
    (f32.store (i32.const 142) (local.get $red))
    (f32.store (i32.const 146) (local.get $green))
    (f32.store (i32.const 150) (local.get $blue)))

  (func (export "start")
    (local $id i64)
    (local.set $id (call $entity_ids (i32.const 1)))
    (i64.store (i32.const 1) (local.get $id))
    (i64.store (i32.const 11) (local.get $id))
    (i64.store (i32.const 66) (local.get $id))
    (i64.store (i32.const 84) (local.get $id))
    (i64.store (i32.const 104) (local.get $id))
    (call $color (f32.const 1) (f32.const 0.6) (f32.const 0.1))
    (if (call $scene_apply (i32.const 0) (i32.const 162))
      (then (call $exit (i32.const 224) (i32.const 30))))
    (drop (call $log (i32.const 3) (i32.const 200) (i32.const 3) (i32.const 204) (i32.const 13))))

  ;; Called whenever signals have arrived; between calls the process is parked.
  (func (export "wake")
    (local $len i32) (local $letter i32)
    (loop $next
      (local.set $len (call $try_recv (i32.const 1024) (i32.const 1048600)))
      ;; Below zero: there is nothing more.
      (if (i32.ge_s (local.get $len) (i32.const 0))
        (then
          ;; A message (kind 1) of at least two bytes: a text in CBOR is a byte of length, then letters.
          (if (i32.and
                (i32.eq (i32.load16_u (i32.const 1024)) (i32.const 1))
                (i32.ge_u (local.get $len) (i32.const 26)))
            (then
              (local.set $letter (i32.load8_u (i32.const 1049)))
              (call $color
                (f32.convert_i32_u (i32.eq (local.get $letter) (i32.const 0x72)))     ;; r
                (f32.convert_i32_u (i32.eq (local.get $letter) (i32.const 0x67)))     ;; g
                (f32.convert_i32_u (i32.eq (local.get $letter) (i32.const 0x62))))    ;; b
              ;; The last operation of the batch alone: the material.
              (drop (call $scene_apply (i32.const 103) (i32.const 59)))))
          (br $next))))))
