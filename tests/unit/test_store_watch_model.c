/* SPDX-License-Identifier: MIT */

/* Do changes, replayed, always lead to what the store holds? Random writes by
 * two handles and by hand, compactions, repairs, indexes that are lost, logs
 * that are exchanged; and watchers that look now and then. */

#include "idle_clock.h"
#include "index/file.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "log_text.h"
#include "os/system.h"
#include "replay.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 30
#define STEPS 260
#define SOME_KEYS 24
#define HANDLES 3
#define WATCHERS 4

/* By then all handles have checked the names. Time passes in sleeps alone. */
#define A_WHILE_NS INT64_C(20000000)

struct world {
    const struct store_dir *dir;
    uint64_t random;
    kvstore *stores[HANDLES]; /* The last one is read-only. */
    kvstore_watcher *watchers[WATCHERS];
    const char *prefixes[WATCHERS];
    struct replay replays[WATCHERS];
    int values;
};
static struct world world;

static unsigned draw(unsigned count)
{
    world.random ^= world.random << 13;
    world.random ^= world.random >> 7;
    world.random ^= world.random << 17;
    return (unsigned)(world.random >> 33) % count;
}

/* --- Names --- */

static const char *any_key(void)
{
    static char key[16];
    (void)snprintf(
        key, sizeof key, draw(2) == 0 ? "a/%u" : "b/%u", draw(SOME_KEYS));
    return key;
}

static const char *any_value(void)
{
    static char value[48];
    (void)snprintf(value, sizeof value, "%d", world.values++);
    if (draw(4) == 0) {
        /* Too long for a piece. */
        (void)snprintf(value, sizeof value, "%036d", world.values++);
    }
    return value;
}

static kvstore *any_store(void)
{
    return world.stores[draw(HANDLES - 1)];
}

/* --- Steps --- */

static void set_some(void)
{
    for (unsigned i = draw(12); i > 0; i--) {
        must_set(any_store(), any_key(), any_value());
    }
}

static void remove_some(void)
{
    for (unsigned i = draw(4); i > 0; i--) {
        const char *key = any_key();
        kvstore_status status = kvstore_remove(any_store(), key, strlen(key));
        assert_true(status == KVSTORE_OK || status == KVSTORE_NOT_FOUND);
    }
}

static void add_batch(struct log_text *text)
{
    for (unsigned left = 2 + draw(9); left > 0; left--) {
        if (draw(4) == 0) {
            log_text_batch_remove(text, any_key(), left);
        } else {
            log_text_batch_set(text, any_key(), any_value(), left);
        }
    }
}

/* The next writer, who has checked the names, finds what is appended. */
static void write_by_hand(void)
{
    struct log_text text = LOG_TEXT_EMPTY;
    switch (draw(5)) {
    case 0:
        log_text_expiring_set(&text, any_key(), any_value(), 1);
        break;
    case 1:
        log_text_expiring_set(
            &text, any_key(), any_value(), INT64_C(9000000000000));
        break;
    case 2:
        log_text_damaged_set(&text, any_key(), any_value());
        log_text_add(&text, draw(2) == 0 ? "" : "\n{ damage }\n");
        break;
    default:
        add_batch(&text);
        break;
    }
    store_dir_append(world.dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
    kv_io_sleep_ns(A_WHILE_NS);
    must_set(any_store(), any_key(), any_value());
}

static void compact(void)
{
    must_compact(any_store());
}

static void lose_index(void)
{
    must_set(any_store(), any_key(), any_value());
    remove_index(world.dir);
    kv_io_sleep_ns(A_WHILE_NS);
    set_some();
}

static void repair(void)
{
    assert_int_equal(kvstore_repair(any_store(), NULL, NULL), KVSTORE_OK);
}

/* As an editor does it, while no program writes. */
static void exchange_log(void)
{
    size_t size = 0;
    char from[512];
    char *bytes = store_dir_read(world.dir, KV_LOG_NAME, &size);
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add_bytes(&text, bytes, size);
    log_text_set(&text, any_key(), any_value());
    store_dir_write(world.dir, "other.log", text.bytes, text.size);
    (void)snprintf(
        from, sizeof from, "%s", store_dir_path(world.dir, "other.log"));
    assert_int_equal(rename(from, store_dir_path(world.dir, KV_LOG_NAME)), 0);
    log_text_release(&text);
    free(bytes);
    kv_io_sleep_ns(A_WHILE_NS);
    must_set(any_store(), any_key(), any_value());
}

static void grow(void)
{
    char key[32];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "c/%d", i);
        must_set(any_store(), key, "1");
    }
}

static void look_some(void)
{
    unsigned i = draw(WATCHERS);
    const kvstore_change *change = NULL;
    for (unsigned left = draw(30); left > 0; left--) {
        kvstore_status status =
            kvstore_watcher_next(world.watchers[i], 0, &change);
        if (status != KVSTORE_OK) {
            assert_int_equal(status, KVSTORE_NOT_FOUND);
            break;
        }
        replay_change(&world.replays[i], change);
    }
}

static void compare_all(void)
{
    kv_io_sleep_ns(A_WHILE_NS);
    for (int i = 0; i < WATCHERS; i++) {
        replay_all(&world.replays[i], world.watchers[i]);
        assert_replayed_prefix(
            &world.replays[i], world.stores[i % 2], world.prefixes[i]);
    }
}

static void step(void)
{
    static void (*const rare[])(void) = {
        compact, compact, compact, lose_index, repair, exchange_log, grow};
    unsigned chance = draw(100);
    if (chance < 40) {
        set_some();
    } else if (chance < 55) {
        remove_some();
    } else if (chance < 62) {
        write_by_hand();
    } else if (chance < 88) {
        look_some();
    } else if (chance < 98) {
        rare[draw(sizeof rare / sizeof *rare)]();
    } else {
        compare_all();
    }
}

/* --- Worlds --- */

static kvstore_watcher *watch_start(const kvstore *store, const char *prefix)
{
    const kvstore_watch_options options = {
        .from_start = true, .prefix = prefix, .prefix_size = strlen(prefix)};
    kvstore_watcher *watcher = NULL;
    assert_int_equal(kvstore_watcher_create(store, &options, &watcher),
                     KVSTORE_OK);
    return watcher;
}

static void begin_world(const struct store_dir *dir, uint64_t seed)
{
    kvstore_options options = plain_options();
    memset(&world, 0, sizeof world);
    world.dir = dir;
    world.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < HANDLES; i++) {
        options.read_only = i == HANDLES - 1;
        world.stores[i] = open_with(dir, &options);
    }
    for (int i = 0; i < WATCHERS; i++) {
        world.prefixes[i] = i == WATCHERS - 1 ? "a/" : "";
        world.watchers[i] =
            watch_start(world.stores[i % HANDLES], world.prefixes[i]);
    }
}

static void end_world(void)
{
    for (int i = 0; i < WATCHERS; i++) {
        kvstore_watcher_free(world.watchers[i]);
    }
    for (int i = 0; i < HANDLES; i++) {
        kvstore_close(world.stores[i]);
    }
}

/* KVSTORE_SEED: where to begin; KVSTORE_SEEDS: how many. */
static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void replayed_changes_are_what_the_store_holds(void **state)
{
    uint64_t first = number_of("KVSTORE_SEED", 1);
    uint64_t end = first + number_of("KVSTORE_SEEDS", SEEDS);
    idle_clock_start();
    for (uint64_t seed = first; seed < end; seed++) {
        print_message("KVSTORE_SEED=%u\n", (unsigned)seed);
        begin_world(*state, seed);
        for (int i = 0; i < STEPS; i++) {
            step();
        }
        compare_all();
        end_world();
    }
    idle_clock_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(replayed_changes_are_what_the_store_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
