/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A glowing orb that bobs up and down: a script in C.
 *
 * Arguments: where it is, `x y z` in metres. Send it "red", "green" or "blue" to change its colour.
 */
#include "hearth.h"

/* The largest signal, and a batch; globals are the state of a parked process. */
static union {
    struct hearth_header header;
    uint8_t bytes[HEARTH_HEADER_LEN + HEARTH_BODY_LEN_MAX];
} signal;
static uint8_t batch_bytes[512];
static struct hearth_batch batch = {batch_bytes, 0, sizeof batch_bytes, false};

static uint64_t orb;
static float place[3] = {1.0f, 1.5f, 3.0f};

enum { BOB = 1 };
static const uint64_t STEP_NS = 50 * 1000 * 1000;

#define LOG(text) hearth_log(HEARTH_INFO, "orb", 3, text, sizeof(text) - 1)

/* A decimal number, as `-1.25`; what is no digit ends it. */
static float number(const uint8_t *text, uint32_t len) {
    float value = 0, unit = 1, sign = 1;
    bool after_point = false;
    for (uint32_t i = 0; i < len; i++) {
        if (i == 0 && text[i] == '-') {
            sign = -1;
        } else if (text[i] == '.' && !after_point) {
            after_point = true;
        } else if (text[i] >= '0' && text[i] <= '9') {
            value = value * 10 + (float)(text[i] - '0');
            unit *= after_point ? 10 : 1;
        } else {
            break;
        }
    }
    return sign * value / unit;
}

static void read_arguments(void) {
    int32_t len = hearth_args(signal.bytes, sizeof signal.bytes);
    uint32_t at = 0;
    for (int i = 0; i < 3 && len >= 4 && at <= (uint32_t)len - 4; i++) {
        uint32_t size;
        __builtin_memcpy(&size, signal.bytes + at, 4);
        place[i] = number(signal.bytes + at + 4, size);
        at += 4 + size;
    }
}

static void set_color(float red, float green, float blue) {
    struct hearth_material material = {
        .base_color = {0.2f, 0.2f, 0.2f, 1.0f},
        .roughness = 0.6f,
        .emissive = {red, green, blue},
    };
    hearth_set(&batch, orb, HEARTH_MATERIAL, &material, sizeof material);
}

/* Up and down within two seconds: a parabola each way looks like a swing. */
static void set_place(void) {
    uint64_t ms = hearth_clock_monotonic() / 1000000 % 2000;
    float half = (float)(ms % 1000) / 1000;
    float lift = 4 * half * (1 - half) * (ms < 1000 ? 0.12f : -0.12f);
    struct hearth_transform transform = {
        .translation = {place[0], place[1] + lift, place[2]},
        .rotation = {0, 0, 0, 1},
        .scale = {1, 1, 1},
    };
    hearth_set(&batch, orb, HEARTH_TRANSFORM, &transform, sizeof transform);
}

HEARTH_EXPORT(start) void start(void) {
    read_arguments();
    orb = (uint64_t)hearth_entity_ids(1);
    hearth_create(&batch, orb, HEARTH_SHARED);
    hearth_set(&batch, orb, HEARTH_NAME, "orb", 3);
    struct __attribute__((packed)) {
        uint8_t source;
        float radius;
    } ball = {2, 0.25f};
    hearth_set(&batch, orb, HEARTH_MESH, &ball, sizeof ball);
    set_color(1.0f, 0.6f, 0.1f);
    set_place();
    if (hearth_commit(&batch) < 0) {
        static const char reason[] = "the scene did not take the orb";
        hearth_exit(reason, sizeof reason - 1);
    }
    hearth_timer(STEP_NS, BOB);
    LOG("the orb glows");
}

HEARTH_EXPORT(wake) void wake(void) {
    int32_t len;
    while ((len = hearth_try_recv(signal.bytes, sizeof signal.bytes)) >= 0) {
        if (signal.header.kind == HEARTH_TIMEOUT && signal.header.tag == BOB) {
            set_place();
            hearth_timer(STEP_NS, BOB);
        } else if (signal.header.kind == HEARTH_MESSAGE && len >= HEARTH_HEADER_LEN + 2) {
            /* A short text in CBOR: a byte of type and length, then the letters. */
            uint8_t letter = signal.bytes[HEARTH_HEADER_LEN + 1];
            set_color(letter == 'r', letter == 'g', letter == 'b');
            LOG("another colour");
        }
    }
    hearth_commit(&batch);
}
