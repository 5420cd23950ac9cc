/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: a few thousand
 * operations in a random order that is the same in each run, against a model in
 * memory. After each one the counters are compared with the model and the
 * file. */

#include "kvstore.h"
#include "log/log.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 60
#define VALUE_SIZE_MAX 700
#define HANDLES 2
#define OPERATIONS 4000

/* A key's value, and how many bytes of the log it takes. */
struct entry {
    bool is_there;
    char value[VALUE_SIZE_MAX];
    size_t value_size;
    uint64_t line_size;
};

struct model {
    const struct store_dir *dir;
    kvstore *stores[HANDLES];
    struct entry entries[KEYS];
    uint64_t log_bytes;  /* Without the torn tail, */
    uint64_t torn_bytes; /* which is not cut yet. */
    uint64_t torn_lines;
    uint64_t blank_in_tail_bytes;
    uint64_t blank_bytes;
    uint64_t damaged_bytes;
    uint64_t damaged_records;
    uint64_t tombstone_bytes; /* Of newest Removes. */
    uint64_t tombstones[KEYS];
    uint64_t random;
};

/* Returns the same numbers in each run (splitmix64). */
static uint64_t random_below(struct model *model, uint64_t bound)
{
    uint64_t mixed = model->random += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (mixed ^ mixed >> 31) % bound;
}

/* Makes keys of all encodings. */
static size_t make_key(unsigned number, char *key)
{
    static const char *const forms[] = {
        "plain%u", "\"quoted\"\n%u", "\xff\xfe%u", "\xc3\xa4\xe2\x82\xac%u"};
    return (size_t)snprintf(key, 32, forms[number % 4], number);
}

/* ASCII, UTF-8, what needs escapes, control characters, any bytes. */
static size_t make_value(struct model *model, char *value)
{
    static const char *const alphabets[] = {
        "abcdefgh", "\"\\\n\t/abc", "\x01\x02\x03xyz\x7f"};
    uint64_t form = random_below(model, 5);
    size_t size = (size_t)random_below(
        model, random_below(model, 8) == 0 ? VALUE_SIZE_MAX : 40);
    for (size_t i = 0; i < size; i++) {
        if (form < 3) {
            const char *alphabet = alphabets[form];
            value[i] = alphabet[random_below(model, strlen(alphabet))];
        } else if (form == 3) {
            value[i] = "\xc3\xa4"[i % 2];
        } else {
            value[i] = (char)random_below(model, 256);
        }
    }
    return size;
}

static kvstore *any_store(struct model *model)
{
    return model->stores[random_below(model, HANDLES)];
}

static uint64_t file_size(const struct model *model)
{
    return store_dir_file_size(model->dir, KV_LOG_NAME);
}

/* --- What operations do to the model --- */

static void forget_torn_tail(struct model *model)
{
    model->torn_bytes = 0;
    model->torn_lines = 0;
    model->blank_in_tail_bytes = 0;
}

/* An anchor follows: what looked torn is damage. */
static void keep_torn_tail(struct model *model)
{
    model->log_bytes += model->torn_bytes;
    model->damaged_records += model->torn_lines;
    model->damaged_bytes += model->torn_bytes - model->blank_in_tail_bytes;
    model->blank_bytes += model->blank_in_tail_bytes;
    forget_torn_tail(model);
}

static void supersede(struct model *model, unsigned number)
{
    model->tombstone_bytes -= model->tombstones[number];
    model->tombstones[number] = 0;
    model->entries[number].is_there = false;
}

static void append_bytes(struct model *model, const char *bytes, size_t size)
{
    store_dir_append(model->dir, KV_LOG_NAME, bytes, size);
    /* Open handles would see it only with the next write. */
    for (int i = 0; i < HANDLES; i++) {
        kvstore_close(model->stores[i]);
        model->stores[i] = open_plain(model->dir);
    }
}

static void set(struct model *model)
{
    unsigned number = (unsigned)random_below(model, KEYS);
    struct entry *entry = &model->entries[number];
    char key[32];
    size_t key_size = make_key(number, key);
    supersede(model, number);
    forget_torn_tail(model);
    entry->value_size = make_value(model, entry->value);

    assert_int_equal(
        kvstore_set(
            any_store(model), key, key_size, entry->value, entry->value_size),
        KVSTORE_OK);

    entry->is_there = true;
    entry->line_size = file_size(model) - model->log_bytes;
    model->log_bytes += entry->line_size;
}

static void remove_key(struct model *model)
{
    unsigned number = (unsigned)random_below(model, KEYS);
    char key[32];
    size_t key_size = make_key(number, key);
    bool was_there = model->entries[number].is_there;

    kvstore_status status = kvstore_remove(any_store(model), key, key_size);

    /* A Remove that writes nothing mends the end, too. */
    forget_torn_tail(model);
    assert_int_equal(status, was_there ? KVSTORE_OK : KVSTORE_NOT_FOUND);
    if (was_there) {
        supersede(model, number);
        model->tombstones[number] = file_size(model) - model->log_bytes;
        model->tombstone_bytes += model->tombstones[number];
        model->log_bytes += model->tombstones[number];
    }
}

static uint64_t live_bytes(const struct model *model)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        if (model->entries[i].is_there) {
            bytes += model->entries[i].line_size;
        }
    }
    return bytes;
}

static void compact(struct model *model)
{
    must_compact(any_store(model));

    forget_torn_tail(model);
    if (model->damaged_records == 0) {
        model->tombstone_bytes = 0;
        memset(model->tombstones, 0, sizeof model->tombstones);
    }
    model->blank_bytes = 0;
    model->log_bytes =
        live_bytes(model) + model->tombstone_bytes + model->damaged_bytes;
}

static void reopen(struct model *model)
{
    uint64_t i = random_below(model, HANDLES);
    kvstore_close(model->stores[i]);
    model->stores[i] = open_plain(model->dir);
}

static void append_blank(struct model *model)
{
    static const char *const blanks[] = {"\n", " \t\r\n", "\n\n  \n"};
    const char *blank = blanks[random_below(model, 3)];
    size_t size = strlen(blank);
    append_bytes(model, blank, size);
    if (model->torn_bytes > 0) {
        model->torn_bytes += size;
        model->blank_in_tail_bytes += size;
    } else {
        model->log_bytes += size;
        model->blank_bytes += size;
    }
}

static void append_garbage(struct model *model)
{
    static const char *const garbage[] = {
        "garbage\n", "{\"Set\":{\"key\"\n", "}{\n", "null\n"};
    const char *line = garbage[random_below(model, 4)];
    append_bytes(model, line, strlen(line));
    model->torn_bytes += strlen(line);
    model->torn_lines++;
}

static void append_closed_garbage(struct model *model)
{
    static const char line[] = "{no record, but closed}\n";
    append_bytes(model, line, sizeof line - 1);
    keep_torn_tail(model);
    model->log_bytes += sizeof line - 1;
    model->damaged_bytes += sizeof line - 1;
    model->damaged_records++;
}

static void append_record(struct model *model)
{
    unsigned number = 4 * (unsigned)random_below(model, KEYS / 4);
    struct entry *entry = &model->entries[number];
    char key[32];
    char line[128];
    (void)make_key(number, key);
    int size = snprintf(line,
                        sizeof line,
                        "{\"Set\": {\"val\": \"by hand\", \"key\": \"%s\"}}\n",
                        key);
    append_bytes(model, line, (size_t)size);
    keep_torn_tail(model);
    supersede(model, number);
    entry->is_there = true;
    entry->line_size = (uint64_t)size;
    entry->value_size = strlen("by hand");
    memcpy(entry->value, "by hand", entry->value_size);
    model->log_bytes += entry->line_size;
}

/* --- Comparing --- */

static void check_counters(struct model *model)
{
    uint64_t keys = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        keys += model->entries[i].is_there ? 1 : 0;
    }
    for (int i = 0; i < HANDLES; i++) {
        kvstore_stats stats = checked_stats(model->stores[i]);
        assert_int_equal(stats.keys, keys);
        assert_int_equal(stats.log_bytes, model->log_bytes);
        assert_int_equal(stats.live_bytes, live_bytes(model));
        assert_int_equal(stats.blank_bytes, model->blank_bytes);
        assert_int_equal(stats.damaged_bytes, model->damaged_bytes);
        assert_int_equal(stats.damaged_records, model->damaged_records);
    }
    assert_int_equal(file_size(model), model->log_bytes + model->torn_bytes);
}

static void check_key(const struct model *model,
                      const kvstore *store,
                      unsigned number)
{
    const struct entry *entry = &model->entries[number];
    char key[32];
    size_t key_size = make_key(number, key);
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(kvstore_get(store, key, key_size, &value, &size),
                     entry->is_there ? KVSTORE_OK : KVSTORE_NOT_FOUND);
    if (entry->is_there) {
        assert_int_equal(size, entry->value_size);
        assert_memory_equal(value, entry->value, size);
    }
    kvstore_free(value);
}

static void operate(struct model *model, bool has_damage)
{
    uint64_t choice = random_below(model, 100);
    if (choice < 55) {
        set(model);
    } else if (choice < 80) {
        remove_key(model);
    } else if (choice < 84) {
        compact(model);
    } else if (choice < 88) {
        reopen(model);
    } else if (choice < 92) {
        append_blank(model);
    } else if (choice < 96) {
        append_record(model);
    } else if (has_damage && choice < 99) {
        append_garbage(model);
    } else if (has_damage && random_below(model, 10) == 0) {
        append_closed_garbage(model);
    }
}

static void run(const struct store_dir *dir, uint64_t seed, bool has_damage)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->dir = dir;
    model->random = seed;
    for (int i = 0; i < HANDLES; i++) {
        model->stores[i] = open_plain(dir);
    }
    for (int i = 0; i < OPERATIONS; i++) {
        operate(model, has_damage);
        check_counters(model);
        check_key(model, any_store(model), (unsigned)random_below(model, KEYS));
    }
    for (unsigned i = 0; i < HANDLES * KEYS; i++) {
        check_key(model, model->stores[i % HANDLES], i / HANDLES);
    }
    for (int i = 0; i < HANDLES; i++) {
        kvstore_close(model->stores[i]);
    }
    free(model);
}

static void sound_store_equals_the_model(void **state)
{
    run(*state, 1, false);
}

static void damaged_store_equals_the_model(void **state)
{
    run(*state, 2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(sound_store_equals_the_model),
        STORE_TEST(damaged_store_equals_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
