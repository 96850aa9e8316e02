/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * What the scripts of benches/processes.rs do, in C: one module for all roles, of which the argument says one.
 */
#include "hearth.h"

enum role { ECHO, PING, NODE, FLOOD, COUNT, CHILD, PARENT };

enum { WAVE = 100 };

/* As the host writes it: the length of the one argument, then the argument. */
static struct __attribute__((packed)) {
    uint32_t len;
    uint64_t role;
    union {
        struct __attribute__((packed)) { uint64_t peer, count; } pair;
        struct __attribute__((packed)) { struct hearth_lump_id child; uint64_t waves; } parent;
    } of;
} args;

/* What a parent gives its children. */
static struct __attribute__((packed)) {
    uint32_t len;
    uint64_t role, parent;
} child = { 16, CHILD, 0 };

struct signal {
    struct hearth_header header;
    uint64_t body[];
};

/* How long all are, and several, each behind its length. */
static struct {
    uint64_t len, entries[512];
} signals;

static uint64_t next, left;

static void ping(void) {
    hearth_send(args.of.pair.peer, &args.of.pair, sizeof args.of.pair);
}

static void spawn_wave(void) {
    left = WAVE;
    for (int n = 0; n < WAVE; n++)
        hearth_spawn(&args.of.parent.child, NULL, 0, &child, sizeof child);
}

static void take(struct signal *signal, uint64_t len) {
    switch (args.role) {
    case ECHO:
        hearth_send(signal->header.from, signal->body, 16);
        break;
    case PING:
        if (--args.of.pair.count == 0)
            hearth_exit(NULL, 0);
        ping();
        break;
    case NODE:
        if (len == HEARTH_HEADER_LEN + 8) {
            next = signal->body[0];
        } else {
            if (signal->body[0] == 0)
                hearth_exit(NULL, 0);
            signal->body[0]--;
            hearth_send(next, signal->body, 16);
        }
        break;
    case COUNT:
        if (--args.of.pair.count == 0)
            hearth_exit(NULL, 0);
        break;
    case PARENT:
        if (--left == 0) {
            if (--args.of.parent.waves == 0)
                hearth_exit(NULL, 0);
            spawn_wave();
        }
        break;
    }
}

HEARTH_EXPORT(start) void start(void) {
    hearth_args(&args, sizeof args);
    switch (args.role) {
    case PING:
        ping();
        break;
    case FLOOD:
        do
            ping();
        while (--args.of.pair.count != 0);
        hearth_exit(NULL, 0);
    case CHILD:
        hearth_send(args.of.pair.peer, &args, 8);
        hearth_exit(NULL, 0);
    case PARENT:
        child.parent = hearth_self();
        spawn_wave();
        break;
    }
}

HEARTH_EXPORT(wake) void wake(void) {
    int32_t len = (int32_t)signals.len;
    if (len == 0) {
        hearth_wake_with(&signals, sizeof signals);
        len = hearth_try_recv_many(signals.entries, sizeof signals.entries);
    }
    while (len > 0) {
        const uint64_t *end = signals.entries + len / 8;
        for (uint64_t *entry = signals.entries; entry < end; entry += hearth_entry_len(*entry) / 8)
            take((struct signal *)(entry + 1), *entry);
        /* If all took little room there is no more, or that brings the next turn at once. */
        if (len <= (int32_t)sizeof signals.entries / 2)
            break;
        len = hearth_try_recv_many(signals.entries, sizeof signals.entries);
    }
}
