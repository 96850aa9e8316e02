/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The guest contract of Hearth, version 1, for C and whatever reads C headers.
 *
 * docs/formats/guest.md is the contract; this file repeats it. Build a script with
 *
 *     clang --target=wasm32 -std=c11 -O2 -ffreestanding -mbulk-memory -nostdlib -Wl,--no-entry \
 *         -I guest/c -o script.wasm script.c
 *
 * A script exports `start`, called once, and may export `wake`, called whenever signals have arrived:
 *
 *     HEARTH_EXPORT(start) void start(void) { ... }
 *     HEARTH_EXPORT(wake)  void wake(void)  { ... }
 *
 * Between calls of `wake` the process holds no stack: keep its state in globals. `_initialize`, if it is
 * there, is called first of all.
 *
 * All numbers are little-endian, which wasm32 is too. A call that gives an int32_t or int64_t gives zero
 * or more on success, or the negative of a HEARTH_E number. What takes time is a request: it returns 0
 * at once, and the answer comes as a signal of kind HEARTH_REPLY with the tag that the script gave.
 */
#ifndef HEARTH_H
#define HEARTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEARTH_EXPORT(name) __attribute__((export_name(#name)))
#define HEARTH_IMPORT(name) __attribute__((import_module("hearth/1"), import_name(#name)))
#define HEARTH_IMPORT_BLOCKING(name) \
    __attribute__((import_module("hearth/1/blocking"), import_name(#name)))

/* ---- Error numbers ---- */

enum {
    HEARTH_E_FAULT = 1,        /* a pointer or a length reaches outside the memory */
    HEARTH_E_INVALID = 2,      /* an argument is malformed */
    HEARTH_E_AGAIN = 3,        /* there is nothing to receive now */
    HEARTH_E_NOT_FOUND = 4,    /* no such process, name, lump, entity, asset or timer */
    HEARTH_E_PERMISSION = 5,   /* the process's origin has no authority for this on this peer */
    HEARTH_E_FULL = 6,         /* the receiver's mailbox is full */
    HEARTH_E_LIMIT = 7,        /* a limit of this process is reached */
    HEARTH_E_TIMED_OUT = 8,    /* it did not happen within the time given */
    HEARTH_E_NO_PEER = 9,      /* no such peer, or it is not connected */
    HEARTH_E_TAKEN = 10,       /* the name is taken */
    HEARTH_E_MALFORMED = 11,   /* the content has not the form that its class or id demands */
    HEARTH_E_MODULE = 12,      /* the module cannot run here */
    HEARTH_E_HOST = 13,        /* something failed on the host that the script cannot help */
    HEARTH_E_UNSUPPORTED = 14  /* this peer does not have that facility */
};

/* ---- Signals ---- */

enum {
    HEARTH_MESSAGE = 1, /* from another process; the body is what it sent */
    HEARTH_EXIT = 2,    /* a linked process ended, or another asks this one to; the body is the reason */
    HEARTH_DOWN = 3,    /* a monitored process ended; the body is the reason */
    HEARTH_TIMEOUT = 4, /* a timer of this process went off */
    HEARTH_REPLY = 5,   /* the answer to a request */
    HEARTH_INPUT = 6,   /* an input event; see docs/formats/input.md */
    HEARTH_TERMINAL = 7, /* something happened to a terminal; see docs/formats/terminal.md */
    HEARTH_POINTER = 8, /* a user's pointer did something to an entity; see docs/formats/pointer.md */
    HEARTH_TYPED = 9 /* a user typed into an entity; see docs/formats/keyboard.md */
};

/* What try_recv and recv write, before the body. */
struct hearth_header {
    uint16_t kind;
    uint16_t zero;
    int32_t status; /* of a reply: zero or more, or the negative of an error number */
    uint64_t from;  /* the process that sent it, zero if the host did */
    uint64_t tag;   /* the script's own number of the request, timer or monitor; of an exit 1 if a link broke */
};

enum { HEARTH_HEADER_LEN = 24, HEARTH_BODY_LEN_MAX = 1 << 20 };
_Static_assert(sizeof(struct hearth_header) == HEARTH_HEADER_LEN, "the header has 24 bytes");

/* Why a process ended: the first byte of a reason, which is the body of HEARTH_EXIT and HEARTH_DOWN, and what
 * exit_with and exit_to are given. Then a zero, the length of the text (2 bytes), the text, and data to the end. */
enum {
    HEARTH_EXIT_NORMAL = 0,
    HEARTH_EXIT_ERROR = 1,        /* it ended itself with a reason */
    HEARTH_EXIT_KILLED = 2,
    HEARTH_EXIT_TRAP = 3,
    HEARTH_EXIT_LIMIT = 4,
    HEARTH_EXIT_LOAD = 5,         /* its module could not be had or run */
    HEARTH_EXIT_SHUTDOWN = 6,     /* it was to end in good order */
    HEARTH_EXIT_KILL = 7,         /* to exit_to: end, whether exits are trapped or not */
    HEARTH_EXIT_NOPROC = 8,       /* there is no such process */
    HEARTH_EXIT_NOCONNECTION = 9  /* its peer is not to be reached */
};

/* The name of a lump: the BLAKE3 hash of its bytes. */
struct hearth_lump_id {
    uint8_t bytes[32];
};

/* ---- This process ---- */

HEARTH_IMPORT(self) uint64_t hearth_self(void);
HEARTH_IMPORT(peer) uint32_t hearth_peer(void);
HEARTH_IMPORT(origin) uint32_t hearth_origin(void);
/* For each argument a uint32_t length and that many bytes. Nothing is written if the whole is more than cap. */
HEARTH_IMPORT(args) int32_t hearth_args(void *out, size_t cap);
/* The reason is UTF-8, empty for a normal end. */
HEARTH_IMPORT(exit) _Noreturn void hearth_exit(const char *reason, size_t len);

/* ---- Messages and processes ---- */

/* Takes the next signal. Nothing is taken if its length is more than cap. */
HEARTH_IMPORT(try_recv) int32_t hearth_try_recv(void *out, size_t cap);
/* Takes signals one after another, as many as there is room for, and returns how many bytes they have. Before each is its
 * length, as a uint64_t; each takes hearth_entry_len(length) bytes. Nothing is taken if the first needs more than cap. */
HEARTH_IMPORT(try_recv_many) int32_t hearth_try_recv_many(void *out, size_t cap);
/* From now on, before each call of wake, signals are put there as by hearth_try_recv_many, behind their whole length as a
 * uint64_t. With a cap of 0 no more. */
HEARTH_IMPORT(wake_with) int32_t hearth_wake_with(void *out, size_t cap);
static inline size_t hearth_entry_len(uint64_t signal_len) { return 8 + (((size_t)signal_len + 7) & ~(size_t)7); }
HEARTH_IMPORT(send) int32_t hearth_send(uint64_t to, const void *body, size_t len);
HEARTH_IMPORT(spawn)
int64_t hearth_spawn(const struct hearth_lump_id *module, const char *name, size_t name_len,
                     const void *args, size_t args_len);
HEARTH_IMPORT(spawn_on)
int32_t hearth_spawn_on(uint32_t peer, const struct hearth_lump_id *module, const char *name,
                        size_t name_len, const void *args, size_t args_len, uint64_t tag);
/* The two are linked as soon as the reply is there: however soon the new one ends, its reason comes behind the reply. */
HEARTH_IMPORT(spawn_on_link)
int32_t hearth_spawn_on_link(uint32_t peer, const struct hearth_lump_id *module, const char *name,
                             size_t name_len, const void *args, size_t args_len, uint64_t tag);
HEARTH_IMPORT(spawn_on_monitor)
int32_t hearth_spawn_on_monitor(uint32_t peer, const struct hearth_lump_id *module, const char *name,
                                size_t name_len, const void *args, size_t args_len, uint64_t tag,
                                uint64_t monitor_tag);
HEARTH_IMPORT(spawn_link)
int64_t hearth_spawn_link(const struct hearth_lump_id *module, const char *name, size_t name_len,
                          const void *args, size_t args_len);
HEARTH_IMPORT(spawn_monitor)
int64_t hearth_spawn_monitor(const struct hearth_lump_id *module, const char *name, size_t name_len,
                             const void *args, size_t args_len, uint64_t tag);
HEARTH_IMPORT(link) int32_t hearth_link(uint64_t who);
HEARTH_IMPORT(unlink) int32_t hearth_unlink(uint64_t who);
HEARTH_IMPORT(monitor) int32_t hearth_monitor(uint64_t who, uint64_t tag);
HEARTH_IMPORT(demonitor) int32_t hearth_demonitor(uint64_t tag);
HEARTH_IMPORT(trap_exits) int32_t hearth_trap_exits(uint32_t on);
HEARTH_IMPORT(exit_to) int32_t hearth_exit_to(uint64_t who, const void *reason, size_t len);
HEARTH_IMPORT(exit_with) _Noreturn void hearth_exit_with(const void *reason, size_t len);
HEARTH_IMPORT(kill) int32_t hearth_kill(uint64_t who, const char *reason, size_t len);
HEARTH_IMPORT(register) int32_t hearth_register(const char *name, size_t len);
HEARTH_IMPORT(unregister) int32_t hearth_unregister(const char *name, size_t len);
HEARTH_IMPORT(whereis) int64_t hearth_whereis(const char *name, size_t len);
HEARTH_IMPORT(global_register) int32_t hearth_global_register(const char *name, size_t len, uint64_t tag);
HEARTH_IMPORT(global_unregister) int32_t hearth_global_unregister(const char *name, size_t len, uint64_t tag);
HEARTH_IMPORT(global_whereis) int32_t hearth_global_whereis(const char *name, size_t len, uint64_t tag);
HEARTH_IMPORT(group_join) int32_t hearth_group_join(const char *name, size_t len, uint64_t tag);
HEARTH_IMPORT(group_leave) int32_t hearth_group_leave(const char *name, size_t len, uint64_t tag);
HEARTH_IMPORT(group_members) int32_t hearth_group_members(const char *name, size_t len, uint64_t tag);
HEARTH_IMPORT(peer_name) int32_t hearth_peer_name(uint32_t peer, char *out, size_t cap);

/* ---- Time, chance, log ---- */

HEARTH_IMPORT(clock_monotonic) uint64_t hearth_clock_monotonic(void); /* nanoseconds */
HEARTH_IMPORT(clock_wall) uint64_t hearth_clock_wall(void);           /* nanoseconds since 1970 UTC */
/* Nanoseconds for which this process was held up because it, or its peer of origin, had used up its processor time. */
HEARTH_IMPORT(throttled) uint64_t hearth_throttled(void);
/* A signal of kind HEARTH_TIMEOUT with this tag after so many nanoseconds. */
HEARTH_IMPORT(timer) int32_t hearth_timer(uint64_t after, uint64_t tag);
HEARTH_IMPORT(cancel_timer) int32_t hearth_cancel_timer(uint64_t tag);
HEARTH_IMPORT(random) int32_t hearth_random(void *out, size_t len);

enum { HEARTH_ERROR = 1, HEARTH_WARN = 2, HEARTH_INFO = 3, HEARTH_DEBUG = 4, HEARTH_TRACE = 5 };
HEARTH_IMPORT(log)
int32_t hearth_log(int32_t level, const char *target, size_t target_len, const char *text, size_t len);

/* ---- Lumps and assets ---- */

/* The id is written at once; the reply (none if the tag is 0) comes when the lump is stored durably. */
HEARTH_IMPORT(lump_put)
int32_t hearth_lump_put(const void *bytes, size_t len, struct hearth_lump_id *out, uint64_t tag);
HEARTH_IMPORT(lump_read)
int32_t hearth_lump_read(const struct hearth_lump_id *id, uint64_t offset, uint32_t len,
                         uint32_t timeout_ms, uint64_t tag);
HEARTH_IMPORT(lump_size)
int32_t hearth_lump_size(const struct hearth_lump_id *id, uint32_t timeout_ms, uint64_t tag);
HEARTH_IMPORT(lump_push)
int32_t hearth_lump_push(const struct hearth_lump_id *id, uint32_t peer, uint64_t tag);
/* Classes: "Mesh", "Texture", "Scene", "Sound", "WebAssembly". */
HEARTH_IMPORT(asset_load)
int32_t hearth_asset_load(const char *class_name, size_t len, const struct hearth_lump_id *id, uint64_t tag);
HEARTH_IMPORT(asset_drop)
int32_t hearth_asset_drop(const char *class_name, size_t len, const struct hearth_lump_id *id);

/* ---- The scene ---- */

HEARTH_IMPORT(entity_ids) int64_t hearth_entity_ids(uint32_t count);
HEARTH_IMPORT(scene_apply) int32_t hearth_scene_apply(const void *batch, size_t len);
HEARTH_IMPORT(scene_read)
int32_t hearth_scene_read(uint64_t entity, uint32_t kind, void *out, size_t cap);
/* Sends a ray or a ball through what this peer draws; see docs/formats/pointer.md. */
HEARTH_IMPORT(scene_cast) int32_t hearth_scene_cast(const void *cast, size_t len, uint64_t tag);

/* ---- The user and the machine of this peer ---- */

enum { HEARTH_KEYBOARD = 1, HEARTH_MOUSE = 2, HEARTH_FRAMES = 4, HEARTH_FILES = 8, HEARTH_GAMEPAD = 16 };
HEARTH_IMPORT(input_subscribe) int32_t hearth_input_subscribe(uint32_t mask);
HEARTH_IMPORT(pointer_capture) int32_t hearth_pointer_capture(uint32_t on);
HEARTH_IMPORT(file_load) int32_t hearth_file_load(const char *path, size_t len, uint64_t tag);
/* Options, commands and events of terminals: docs/formats/terminal.md. */
HEARTH_IMPORT(terminal_open) int32_t hearth_terminal_open(const void *options, size_t len, uint64_t tag);
HEARTH_IMPORT(terminal_command)
int32_t hearth_terminal_command(uint64_t terminal, const void *command, size_t len);
/* As many as fit, of 65 bytes each, of the entities behind `after`. */
HEARTH_IMPORT(terminal_views) int32_t hearth_terminal_views(uint64_t after, void *out, size_t cap);
/* 0 gives the keyboard back to the scripts. */
HEARTH_IMPORT(keyboard_focus) int32_t hearth_keyboard_focus(uint64_t terminal);
/* Gives back the keyboard that the user of a peer has given to an entity; see docs/formats/keyboard.md. */
HEARTH_IMPORT(keyboard_leave) int32_t hearth_keyboard_leave(uint32_t user);
HEARTH_IMPORT(clipboard_write) int32_t hearth_clipboard_write(const char *text, size_t len);
HEARTH_IMPORT(clipboard_read) int32_t hearth_clipboard_read(uint64_t tag);
HEARTH_IMPORT(command) int32_t hearth_command(const void *args, size_t len, uint64_t tag);

/* ---- Waiting on the script's own stack. A script that uses these does not park. ---- */

HEARTH_IMPORT_BLOCKING(recv) int32_t hearth_recv(void *out, size_t cap, int32_t timeout_ms);
HEARTH_IMPORT_BLOCKING(sleep) int32_t hearth_sleep(uint64_t ns);

/* ---- Batches of scene operations (docs/formats/scene.md) ---- */

enum { HEARTH_SHARED = 0, HEARTH_LOCAL = 1 };
enum {
    HEARTH_TRANSFORM = 1,
    HEARTH_NAME = 2,
    HEARTH_MESH = 3,
    HEARTH_MATERIAL = 4,
    HEARTH_LIGHT = 5,
    HEARTH_SKY = 6,
    HEARTH_CAMERA = 7,
    HEARTH_MODEL = 8,
    HEARTH_BILLBOARD = 9,
    HEARTH_HIDDEN = 10,
    HEARTH_TERMINAL_VIEW = 11,
    HEARTH_TEXT = 12
};

/* A batch under construction. What does not fit is left out, and `overflow` says so. */
struct hearth_batch {
    uint8_t *bytes;
    size_t len, cap;
    bool overflow;
};

static inline void hearth_put(struct hearth_batch *batch, const void *bytes, size_t len) {
    if (len > batch->cap - batch->len) {
        batch->overflow = true;
        return;
    }
    __builtin_memcpy(batch->bytes + batch->len, bytes, len);
    batch->len += len;
}

static inline void hearth_put_op(struct hearth_batch *batch, uint8_t number, uint64_t entity) {
    hearth_put(batch, &number, 1);
    hearth_put(batch, &entity, 8);
}

/* Makes an entity without components, at the root. */
static inline void hearth_create(struct hearth_batch *batch, uint64_t entity, uint8_t scope) {
    hearth_put_op(batch, 1, entity);
    hearth_put(batch, &scope, 1);
}

/* Removes an entity and all below it. */
static inline void hearth_remove(struct hearth_batch *batch, uint64_t entity) {
    hearth_put_op(batch, 2, entity);
}

/* Hangs an entity under another; 0 is the root. */
static inline void hearth_set_parent(struct hearth_batch *batch, uint64_t entity, uint64_t parent) {
    hearth_put_op(batch, 3, entity);
    hearth_put(batch, &parent, 8);
}

/* Sets a component: its kind, and its bytes as docs/formats/scene.md has them. */
static inline void hearth_set(struct hearth_batch *batch, uint64_t entity, uint16_t kind, const void *bytes,
                              uint32_t len) {
    hearth_put_op(batch, 4, entity);
    hearth_put(batch, &kind, 2);
    hearth_put(batch, &len, 4);
    hearth_put(batch, bytes, len);
}

/* Takes a component away. */
static inline void hearth_unset(struct hearth_batch *batch, uint64_t entity, uint16_t kind) {
    hearth_put_op(batch, 5, entity);
    hearth_put(batch, &kind, 2);
}

/* Gives an entity and all below it to the space. */
static inline void hearth_give(struct hearth_batch *batch, uint64_t entity) {
    hearth_put_op(batch, 6, entity);
}

/* Makes the changes, all or none, and empties the batch. */
static inline int32_t hearth_commit(struct hearth_batch *batch) {
    size_t len = batch->len;
    batch->len = 0;
    if (batch->overflow) {
        batch->overflow = false;
        return -HEARTH_E_LIMIT;
    }
    return hearth_scene_apply(batch->bytes, len);
}

/* The component HEARTH_TRANSFORM: metres, a unit quaternion x y z w, factors. */
struct hearth_transform {
    float translation[3], rotation[4], scale[3];
};
_Static_assert(sizeof(struct hearth_transform) == 40, "ten floats");

/* The component HEARTH_MATERIAL without textures: linear colours. */
struct hearth_material {
    float base_color[4], metallic, roughness, emissive[3];
    uint32_t flags; /* 1 unlit, 2 double-sided, 4 blend */
    uint8_t textures[4]; /* all zero: none */
};
_Static_assert(sizeof(struct hearth_material) == 44, "nine floats, flags, four bytes");

#endif
