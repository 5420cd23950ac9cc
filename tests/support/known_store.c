/* SPDX-License-Identifier: MIT */

/* Stores whose records are known, with checked outcomes. */

#include "known_store.h"

#include "index/file.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void name_key(char *key, size_t size, int number)
{
    (void)snprintf(key, size, "key-%d", number);
}

const char *value_of(int number)
{
    return number % 3 == 0 ? "third" : "other";
}

void write_known(kvstore *store)
{
    char key[32];
    for (int i = 0; i < KEYS; i++) {
        name_key(key, sizeof key, i);
        must_set(store, key, "old");
        must_set(store, key, value_of(i));
        if (i % 7 == 0) {
            must_remove(store, key);
        }
    }
}

void make_known(const struct store_dir *dir)
{
    kvstore *store = open_plain(dir);
    write_known(store);
    kvstore_close(store);
    assert_true(store_dir_has(dir, KV_INDEX_NAME));
}

void assert_known(const kvstore *store)
{
    char key[32];
    for (int i = 0; i < KEYS; i++) {
        name_key(key, sizeof key, i);
        if (i % 7 == 0) {
            assert_absent(store, key);
        } else {
            assert_value(store, key, value_of(i));
        }
    }
}

void assert_heals(const struct store_dir *dir)
{
    for (int i = 0; i < 2; i++) {
        kvstore *store = open_plain(dir);
        assert_known(store);
        assert_int_equal(checked_stats(store).keys, KNOWN_KEYS);
        must_set(store, "new", "value");
        assert_value(store, "new", "value");
        must_remove(store, "new");
        kvstore_close(store);
    }
    assert_true(store_dir_has(dir, KV_INDEX_NAME));
}

void remove_index(const struct store_dir *dir)
{
    assert_int_equal(unlink(store_dir_path(dir, KV_INDEX_NAME)), 0);
}

static struct stored_slot find_slot_of(const struct store_dir *dir,
                                       const char *key,
                                       bool is_damage)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table;
    struct kv_table_place place;
    struct stored_slot slot;
    assert_true(kv_table_attach(bytes, size, &table));
    slot.hash = kv_table_hash(&table, key, strlen(key));
    assert_true(
        kv_table_find(&table, slot.hash, is_damage, &place, &slot.entry));
    slot.at = KV_TABLE_HEADER_SIZE + place.slot * sizeof(struct kv_table_slot);
    free(bytes);
    return slot;
}

struct stored_slot find_slot(const struct store_dir *dir, const char *key)
{
    return find_slot_of(dir, key, false);
}

struct stored_slot find_damage_slot(const struct store_dir *dir,
                                    const char *key)
{
    return find_slot_of(dir, key, true);
}

void store_slot(const struct store_dir *dir, const struct stored_slot *slot)
{
    struct kv_table_slot words = kv_table_slot_of(slot->hash, &slot->entry);
    store_dir_overwrite(dir, KV_INDEX_NAME, slot->at, &words, sizeof words);
}

void empty_slot(const struct store_dir *dir, const struct stored_slot *slot)
{
    struct kv_table_slot words = {.tag = 0};
    store_dir_overwrite(dir, KV_INDEX_NAME, slot->at, &words, sizeof words);
}

void take_all_places(const struct store_dir *dir)
{
    size_t size = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    struct kv_table table;
    assert_true(kv_table_attach(bytes, size, &table));
    for (uint64_t i = 0; i < kv_table_slot_count(&table); i++) {
        if (kv_table_load(&table, i).tag == 0) {
            atomic_store(&table.words[i * 2], i + 1);
        }
    }
    store_dir_write(dir, KV_INDEX_NAME, bytes, size);
    free(bytes);
}

uint64_t load_header_word(const struct store_dir *dir, size_t at)
{
    size_t size = 0;
    uint64_t word = 0;
    char *bytes = store_dir_read(dir, KV_INDEX_NAME, &size);
    assert_true(at + sizeof word <= size);
    memcpy(&word, bytes + at, sizeof word);
    free(bytes);
    return word;
}

void store_header_word(const struct store_dir *dir, size_t at, uint64_t word)
{
    store_dir_overwrite(dir, KV_INDEX_NAME, at, &word, sizeof word);
}

void rest(int ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&pause, NULL);
}

void assert_in_touch(kvstore *one, kvstore *other)
{
    static int round;
    char value[32];
    for (int i = 0; i < 4; i++) {
        kvstore *writer = i % 2 == 0 ? one : other;
        const kvstore *reader = i % 2 == 0 ? other : one;
        (void)snprintf(value, sizeof value, "round %d", round++);

        must_set(writer, "common", value);

        assert_value(reader, "common", value);
        assert_value(writer, "common", value);
    }
    must_remove(one, "common");
    assert_absent(other, "common");
}

void append_by_hand(const struct store_dir *dir, const char *value)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "hand", value);
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

void append_many_by_hand(const struct store_dir *dir)
{
    struct log_text text = LOG_TEXT_EMPTY;
    char key[32];
    for (int i = 0; i < MANY_KEYS; i++) {
        name_key(key, sizeof key, i);
        log_text_set(&text, key, value_of(i));
    }
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    log_text_release(&text);
}

void assert_many(const kvstore *store)
{
    char key[32];
    for (int i = 0; i < MANY_KEYS; i += 7) {
        name_key(key, sizeof key, i);
        assert_value(store, key, value_of(i));
    }
}
