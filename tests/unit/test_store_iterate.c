/* SPDX-License-Identifier: MIT */

/* Do the public calls do what kvstore.h promises? Here: iterators. */

#include "fault_table.h"
#include "index/file.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "random_log.h"
#include "store_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEN_SIZE ((size_t)1 << 14)

/* Appends text, and bytes that are no printable ASCII as \xx. */
static void add_bytes(char *seen, const void *bytes, size_t size)
{
    size_t used = strlen(seen);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = ((const unsigned char *)bytes)[i];
        bool is_plain = byte > 0x20 && byte < 0x7f && byte != '\\';
        assert_true(used + 4 < SEEN_SIZE);
        used += (size_t)snprintf(
            seen + used, SEEN_SIZE - used, is_plain ? "%c" : "\\%02x", byte);
    }
}

static void add_text(char *seen, const char *text)
{
    size_t used = strlen(seen);
    size_t size = strlen(text);
    assert_true(used + size < SEEN_SIZE);
    memcpy(seen + used, text, size + 1);
}

static const char *name_of(kvstore_status status)
{
    return status == KVSTORE_CORRUPT       ? "CORRUPT"
           : status == KVSTORE_UNSUPPORTED ? "NEWER"
                                           : "?";
}

static void add_entry(char *seen, const kvstore_entry *entry)
{
    add_bytes(seen, entry->key, entry->key_size);
    if (entry->status != KVSTORE_OK) {
        assert_null(entry->value);
        add_text(seen, "!");
        add_text(seen, name_of(entry->status));
    } else if (entry->value != NULL) {
        assert_int_equal(((const char *)entry->value)[entry->value_size], 0);
        add_text(seen, "=");
        add_bytes(seen, entry->value, entry->value_size);
    }
    add_text(seen, " ");
}

static void go_to_end(kvstore_iterator *iterator, char *seen)
{
    const kvstore_entry *entry = NULL;
    kvstore_status status = KVSTORE_OK;
    while ((status = kvstore_iterator_next(iterator, &entry)) == KVSTORE_OK) {
        add_entry(seen, entry);
    }
    assert_int_equal(status, KVSTORE_NOT_FOUND);
    assert_null(entry);
}

static kvstore_iterator *create(const kvstore *store,
                                const kvstore_range *range)
{
    kvstore_iterator *iterator = NULL;
    assert_int_equal(kvstore_iterator_create(store, range, &iterator),
                     KVSTORE_OK);
    assert_non_null(iterator);
    return iterator;
}

static void assert_range(const kvstore *store,
                         const kvstore_range *range,
                         const char *expected)
{
    char seen[SEEN_SIZE] = "";
    kvstore_iterator *iterator = create(store, range);
    go_to_end(iterator, seen);
    assert_string_equal(seen, expected);
    kvstore_iterator_free(iterator);
}

static void assert_all(const kvstore *store, const char *expected)
{
    assert_range(store, NULL, expected);
}

static kvstore *open_text(const struct store_dir *dir,
                          const struct log_text *text)
{
    store_dir_write_log(dir, text);
    return open_plain(dir);
}

/* --- Ranges --- */

static kvstore_range range_of(const char *prefix,
                              const char *from,
                              const char *to)
{
    return (kvstore_range){.size = sizeof(kvstore_range),
                           .prefix = prefix,
                           .prefix_size = strlen(prefix),
                           .from = from,
                           .from_size = strlen(from),
                           .to = to,
                           .to_size = strlen(to)};
}

static void keys_and_values_come_in_order(void **state)
{
    kvstore *store = open_plain(*state);
    assert_all(store, "");
    must_set(store, "b", "1");
    must_set(store, "ab", "");
    must_set(store, "a", "3");
    must_set(store, "gone", "4");
    must_set(store, "a", "5");
    must_remove(store, "gone");
    must_set(store, "more than sixteen bytes, b", "6");
    must_set(store, "more than sixteen bytes", "7");
    must_set(store, "more than sixteen bytes, a", "8");
    must_set(store, "more than sixteen bytes", "9");

    assert_all(store,
               "a=5 ab= b=1 more\\20than\\20sixteen\\20bytes=9 "
               "more\\20than\\20sixteen\\20bytes,\\20a=8 "
               "more\\20than\\20sixteen\\20bytes,\\20b=6 ");
    kvstore_close(store);
}

/* Past the bytes that are kept of each, keys are compared in the log. */
static void keys_with_escapes_come_in_order(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "k", "1");
    must_set(store, "more than \"sixteen\", b", "2");
    must_set(store, "more than \"sixteen\", a", "3");
    must_set(store, "more than \"sixteen\"", "4");

    assert_all(store,
               "k=1 more\\20than\\20\"sixteen\"=4 "
               "more\\20than\\20\"sixteen\",\\20a=3 "
               "more\\20than\\20\"sixteen\",\\20b=2 ");
    kvstore_close(store);
}

static void range_is_obeyed(void **state)
{
    kvstore *store = open_plain(*state);
    const char *keys[] = {"a", "ab", "abc", "b", "ba", "c"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        must_set(store, keys[i], "1");
    }
    kvstore_range range = range_of("", "ab", "c");
    assert_range(store, &range, "ab=1 abc=1 b=1 ba=1 ");
    range.reverse = true;
    range.limit = 3;
    assert_range(store, &range, "ba=1 b=1 abc=1 ");
    range.keys_only = true;
    range.size = 0;
    assert_range(store, &range, "ba b abc ");
    range = range_of("ab", "", "abc");
    assert_range(store, &range, "ab=1 ");
    range = range_of("b", "ab", "");
    assert_range(store, &range, "b=1 ba=1 ");
    range = range_of("", "c", "ab");
    assert_range(store, &range, "");
    range = range_of("nothing begins like this", "", "");
    assert_range(store, &range, "");
    kvstore_close(store);
}

static void must_set_bytes(kvstore *store,
                           const void *key,
                           size_t size,
                           const char *value)
{
    assert_int_equal(kvstore_set(store, key, size, value, strlen(value)),
                     KVSTORE_OK);
}

static void prefix_may_be_any_bytes(void **state)
{
    kvstore *store = open_plain(*state);
    must_set_bytes(store, "\x80\xff", 2, "1");
    must_set_bytes(store, "\x80\xff\0", 3, "2");
    must_set_bytes(store, "a\"b\\c", 5, "3");
    must_set_bytes(store, "a\"b", 3, "4");
    must_set_bytes(store, "a\0b", 3, "5");
    must_set_bytes(store, "\xc3\xa9t\xc3\xa9", 5, "6");
    must_set_bytes(store, "a\nb", 3, "7");
    kvstore_range range = {.prefix = "\x80", .prefix_size = 1};
    assert_range(store, &range, "\\80\\ff=1 \\80\\ff\\00=2 ");
    range.prefix = "a\"b";
    range.prefix_size = 3;
    assert_range(store, &range, "a\"b=4 a\"b\\5cc=3 ");
    range.prefix = "a\0b";
    assert_range(store, &range, "a\\00b=5 ");
    range.prefix = "a\n";
    range.prefix_size = 2;
    assert_range(store, &range, "a\\0ab=7 ");
    range.prefix = "\xc3\xa9";
    assert_range(store, &range, "\\c3\\a9t\\c3\\a9=6 ");
    range.prefix_size = 1;
    assert_range(store, &range, "\\c3\\a9t\\c3\\a9=6 ");
    kvstore_close(store);
}

static void foreign_lines_match_a_prefix(void **state)
{
    const struct store_dir *dir = *state;
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_add(&text, "{\"Set\":{\"key\":\"other\",\"val\":\"1\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"\\u0061b\",\"val\":\"2\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key64\":\"YWM=\",\"val\":\"3\"}}\n");
    log_text_add(&text, "{ \"Set\": {\"val\":\"4\", \"key\":\"ad\"}}\r\n");
    log_text_add(&text, "{\"Set\":{\"key64\":\"YmM=\",\"val\":\"5\"}}\n");
    log_text_add(&text, "{\"Set\":{\"key\":\"\",\"val\":\"6\"}}\n");
    log_text_add(&text, "\n  \n{\"Remove\":{\"key\":\"other\"}}\n");
    kvstore *store = open_text(dir, &text);
    kvstore_range range = range_of("a", "", "");

    assert_range(store, &range, "ab=2 ac=3 ad=4 ");
    assert_all(store, "ab=2 ac=3 ad=4 bc=5 ");
    kvstore_close(store);
    log_text_release(&text);
}

/* --- Expiry --- */

static int64_t now_ms;

static int64_t told_now(void)
{
    return now_ms;
}

static void expiry_is_judged_at_the_making(void **state)
{
    struct kv_io_table table = *kv_io_system_table();
    struct log_text text = LOG_TEXT_EMPTY;
    table.clock_real_ms = told_now;
    log_text_set(&text, "a", "1");
    log_text_expiring_set(&text, "a", "2", 1000);
    log_text_expiring_set(&text, "b", "3", 2000);
    log_text_expiring_set(&text, "c", "4", 3000);
    kvstore *store = open_text(*state, &text);
    kv_io_swap_table(&table);
    now_ms = 1000;

    kvstore_iterator *iterator = create(store, NULL);

    const kvstore_entry *entry = NULL;
    now_ms = 5000;
    assert_int_equal(kvstore_iterator_next(iterator, &entry), KVSTORE_OK);
    assert_memory_equal(entry->key, "b", 1);
    assert_int_equal(entry->expires_ms, 2000);
    assert_int_equal(kvstore_iterator_next(iterator, &entry), KVSTORE_OK);
    assert_int_equal(entry->expires_ms, 3000);
    assert_int_equal(kvstore_iterator_next(iterator, &entry),
                     KVSTORE_NOT_FOUND);
    kvstore_iterator_free(iterator);
    assert_all(store, "");
    kv_io_swap_table(kv_io_system_table());
    kvstore_close(store);
    log_text_release(&text);
}

/* --- Damage --- */

static void damaged_keys_are_entries(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_damaged_set(&text, "alone", "1");
    log_text_damaged_set(&text, "healed", "1");
    log_text_set(&text, "healed", "2");
    log_text_set(&text, "older", "1");
    log_text_damaged_set(&text, "older", "2");
    log_text_damaged_set(&text, "removed", "1");
    log_text_remove(&text, "removed");
    log_text_add(&text, "what is this\n");
    log_text_unknown(&text, "newer");
    kvstore *store = open_text(*state, &text);
    kvstore_range range = range_of("o", "", "");

    assert_all(store,
               "alone!CORRUPT healed=2 newer!NEWER "
               "older!CORRUPT ");
    assert_range(store, &range, "older!CORRUPT ");
    kvstore_close(store);
    log_text_release(&text);
}

/* Half a batch in the middle, of which other keys' records are skipped. */
static void broken_batches_are_damage(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_batch_set(&text, "a1", "1", 2);
    log_text_batch_set(&text, "b1", "1", 1);
    log_text_batch_set(&text, "b2", "1", 3);
    log_text_batch_set(&text, "a2", "1", 2);
    log_text_set(&text, "b3", "1");
    log_text_damaged_set(&text, "b4", "1");
    log_text_batch_set(&text, "a3", "1", 1);
    log_text_add(&text,
                 "{\"Set\":{\"key\":\"b5\",\"batch\":2,\"val\":\"1\"}}\n");
    log_text_batch_set(&text, "a4", "1", 1);
    log_text_damaged_set(&text, "b6", "1");
    log_text_add(&text,
                 "{\"Set\":{\"key\":\"b7\",\"batch\":2,\"val\":\"1\"}}\n");
    log_text_batch_set(&text, "a5", "1", 1);
    log_text_set(&text, "b8", "1");
    kvstore *store = open_text(*state, &text);
    kvstore_range range = range_of("a", "", "");

    assert_int_equal(try_get(store, "a3"), KVSTORE_CORRUPT);
    assert_range(store,
                 &range,
                 "a1=1 a2!CORRUPT a3!CORRUPT a4=1 "
                 "a5!CORRUPT ");
    kvstore_close(store);
    log_text_release(&text);
}

/* A sound record behind NULs in the line of another key. */
static void record_behind_lost_bytes_is_seen(void **state)
{
    struct log_text text = LOG_TEXT_EMPTY;
    log_text_set(&text, "b", "1");
    log_text_add(&text, "{\"Set\":{\"key\":\"b\",\"val\":\"lost");
    log_text_fill(&text, '\0', 300);
    log_text_set(&text, "a", "1");
    log_text_set(&text, "b", "2");
    kvstore *store = open_text(*state, &text);
    kvstore_range range = range_of("a", "", "");

    assert_range(store, &range, "a=1 ");
    kvstore_close(store);
    log_text_release(&text);
}

/* --- Snapshots --- */

static void what_comes_later_is_not_seen(void **state)
{
    const struct store_dir *dir = *state;
    kvstore *store = open_plain(dir);
    kvstore *other = open_plain(dir);
    struct log_text text = LOG_TEXT_EMPTY;
    must_set(store, "a", "1");
    must_set(store, "b", "2");
    must_set(store, "c", "3");
    kvstore_iterator *iterator = create(store, NULL);

    must_set(other, "a", "later");
    must_remove(other, "b");
    must_set(store, "d", "later");
    for (int i = 0; i < 20000; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "more %d", i);
        must_set(other, key, "1");
    }
    must_compact(other);
    log_text_damaged_set(&text, "c", "4");
    log_text_set(&text, "c", "5");
    store_dir_append(dir, KV_LOG_NAME, text.bytes, text.size);
    assert_int_equal(kvstore_repair(other, NULL, NULL), KVSTORE_OK);
    remove_index(dir);

    char seen[SEEN_SIZE] = "";
    go_to_end(iterator, seen);
    assert_string_equal(seen, "a=1 b=2 c=3 ");
    kvstore_iterator_free(iterator);
    assert_value(store, "a", "later");
    kvstore_close(other);
    kvstore_close(store);
    log_text_release(&text);
}

static void iterator_may_outlive_its_handle(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    kvstore_iterator *one = create(store, NULL);
    kvstore_iterator *two = create(store, NULL);
    const kvstore_entry *entry = NULL;
    assert_int_equal(kvstore_iterator_next(one, &entry), KVSTORE_OK);

    kvstore_close(store);

    assert_int_equal(kvstore_iterator_next(one, &entry), KVSTORE_INVALID);
    assert_null(entry);
    assert_int_equal(kvstore_iterator_next(two, &entry), KVSTORE_INVALID);
    kvstore_iterator_free(two);
    kvstore_iterator_free(one);
    kvstore_iterator_free(NULL);
}

static bool is_refused_here(const kvstore *store, kvstore_iterator *iterator)
{
    const kvstore_entry *entry = NULL;
    kvstore_iterator *other = NULL;
    bool is_refused =
        kvstore_iterator_next(iterator, &entry) == KVSTORE_INVALID &&
        kvstore_iterator_create(store, NULL, &other) == KVSTORE_INVALID &&
        other == NULL;
    kvstore_iterator_free(iterator);
    return is_refused;
}

static void child_of_fork_is_refused(void **state)
{
    kvstore *store = open_plain(*state);
    must_set(store, "a", "1");
    kvstore_iterator *iterator = create(store, NULL);

    pid_t child = fork();
    if (child == 0) {
        _exit(is_refused_here(store, iterator) ? 0 : 1);
    }

    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    char seen[SEEN_SIZE] = "";
    go_to_end(iterator, seen);
    assert_string_equal(seen, "a=1 ");
    kvstore_iterator_free(iterator);
    kvstore_close(store);
}

/* --- Arguments --- */

struct longer_range {
    kvstore_range range;
    uint32_t more[2];
};

static kvstore_status try_create(const kvstore *store,
                                 const kvstore_range *range)
{
    kvstore_iterator *iterator = NULL;
    kvstore_status status = kvstore_iterator_create(store, range, &iterator);
    assert_int_equal(iterator != NULL, status == KVSTORE_OK);
    kvstore_iterator_free(iterator);
    return status;
}

static void wrong_arguments_are_refused(void **state)
{
    kvstore *store = open_plain(*state);
    struct longer_range longer = {.range = {.size = sizeof longer}};
    kvstore_range range = {.size = 0};
    const kvstore_entry *entry = NULL;
    assert_int_equal(kvstore_iterator_create(store, NULL, NULL),
                     KVSTORE_INVALID);
    assert_int_equal(try_create(NULL, NULL), KVSTORE_INVALID);
    assert_int_equal(kvstore_iterator_next(NULL, &entry), KVSTORE_INVALID);
    assert_int_equal(try_create(store, &range), KVSTORE_OK);
    assert_int_equal(try_create(store, &longer.range), KVSTORE_OK);

    longer.more[1] = 1;
    assert_int_equal(try_create(store, &longer.range), KVSTORE_INVALID);
    range.size = sizeof range - 1;
    assert_int_equal(try_create(store, &range), KVSTORE_INVALID);
    range.size = SIZE_MAX;
    assert_int_equal(try_create(store, &range), KVSTORE_INVALID);
    range.size = sizeof range;
    range.reserved[7] = 1;
    assert_int_equal(try_create(store, &range), KVSTORE_INVALID);
    range.reserved[7] = 0;
    range.prefix_size = 1;
    assert_int_equal(try_create(store, &range), KVSTORE_INVALID);
    range.prefix_size = 0;
    range.to_size = 1;
    assert_int_equal(try_create(store, &range), KVSTORE_INVALID);
    kvstore_iterator *iterator = create(store, NULL);
    assert_int_equal(kvstore_iterator_next(iterator, NULL), KVSTORE_INVALID);
    kvstore_iterator_free(iterator);
    kvstore_close(store);
}

/* --- Random logs --- */

/* Checks an entry against a get of its key. */
static void assert_as_gotten(const kvstore *store, const kvstore_entry *entry)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_status status =
        kvstore_get(store, entry->key, entry->key_size, &value, &size);
    assert_int_equal(status, entry->status);
    if (status == KVSTORE_OK) {
        assert_int_equal(size, entry->value_size);
        assert_memory_equal(value, entry->value, size);
    }
    kvstore_free(value);
}

static size_t count_gotten(const kvstore *store, const char *prefix)
{
    size_t count = 0;
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        const char *key = random_log_keys[i];
        count += strncmp(key, prefix, strlen(prefix)) == 0 &&
                         try_get(store, key) != KVSTORE_NOT_FOUND
                     ? 1
                     : 0;
    }
    return count;
}

static void compare_with_gets(const kvstore *store, const char *prefix)
{
    const kvstore_entry *entry = NULL;
    kvstore_range range = range_of(prefix, "", "");
    kvstore_iterator *iterator = create(store, &range);
    size_t count = 0;
    while (kvstore_iterator_next(iterator, &entry) == KVSTORE_OK) {
        bool is_known = false;
        assert_as_gotten(store, entry);
        for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
            is_known |=
                strlen(random_log_keys[i]) == entry->key_size &&
                memcmp(random_log_keys[i], entry->key, entry->key_size) == 0;
        }
        count += is_known ? 1 : 0;
    }
    assert_int_equal(count, count_gotten(store, prefix));
    kvstore_iterator_free(iterator);
}

static void answers_are_those_of_get(void **state)
{
    const struct store_dir *dir = *state;
    kvstore_options options = plain_options();
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct random_log log;
        random_log_make(&log, seed);
        char *bytes = random_log_join(&log);
        store_dir_write(dir, KV_LOG_NAME, bytes, log.size);
        options.read_only = seed % 20 != 0;
        kvstore *store = open_with(dir, &options);

        compare_with_gets(store, "");
        for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
            char prefix[] = {random_log_keys[i][0], '\0'};
            compare_with_gets(store, prefix);
            compare_with_gets(store, random_log_keys[i]);
        }

        kvstore_close(store);
        if (!options.read_only) {
            remove_index(dir);
        }
        free(bytes);
        random_log_release(&log);
    }
}

/* --- Many keys --- */

#define MODEL_KEYS 3000
#define MODEL_SETS 12000

struct model_key {
    char bytes[80];
    size_t size;
    int value; /* 0: none. */
};

static uint64_t random_state;

/* Keys that have much in common, in several ways, and bytes of all kinds. */
static void make_key(struct model_key *key, unsigned number)
{
    static const char *const begins[] = {
        "", "session:", "session:and so on, for more than a head:", "\xff"};
    const char *begin = begins[number % 4];
    size_t size = strlen(begin);
    memcpy(key->bytes, begin, size);
    for (unsigned rest = number; rest > 0; rest /= 7) {
        key->bytes[size++] = "\0a\xffwxyz"[rest % 7];
        if (number % 3 == 0) {
            memset(key->bytes + size, '+', 4);
            size += 4;
        }
    }
    key->bytes[size++] = (char)('0' + number % 4);
    key->size = size;
}

static int compare_keys(const void *a, const void *b)
{
    const struct model_key *x = a;
    const struct model_key *y = b;
    size_t size = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->bytes, y->bytes, size);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static void assert_model(const kvstore *store,
                         const struct model_key *keys,
                         const kvstore_range *range)
{
    kvstore_iterator *iterator = create(store, range);
    const kvstore_entry *entry = NULL;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        const struct model_key *key =
            &keys[range->reverse ? MODEL_KEYS - 1 - i : i];
        if (key->value == 0 || key->size < range->prefix_size ||
            memcmp(key->bytes, range->prefix, range->prefix_size) != 0) {
            continue;
        }
        char value[16];
        (void)snprintf(value, sizeof value, "%d", key->value);
        assert_int_equal(kvstore_iterator_next(iterator, &entry), KVSTORE_OK);
        assert_int_equal(entry->key_size, key->size);
        assert_memory_equal(entry->key, key->bytes, key->size);
        assert_int_equal(entry->value_size, strlen(value));
        assert_memory_equal(entry->value, value, strlen(value));
    }
    assert_int_equal(kvstore_iterator_next(iterator, &entry),
                     KVSTORE_NOT_FOUND);
    kvstore_iterator_free(iterator);
}

static void order_is_that_of_a_model(void **state)
{
    struct model_key *keys = calloc(MODEL_KEYS, sizeof *keys);
    kvstore *store = open_plain(*state);
    assert_non_null(keys);
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        make_key(&keys[i], i);
    }
    for (int i = 1; i <= MODEL_SETS; i++) {
        struct model_key *key =
            &keys[random_log_below(&random_state, MODEL_KEYS)];
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        if (key->value != 0 && random_log_below(&random_state, 3) == 0) {
            assert_int_equal(kvstore_remove(store, key->bytes, key->size),
                             KVSTORE_OK);
            key->value = 0;
        } else {
            must_set_bytes(store, key->bytes, key->size, value);
            key->value = i;
        }
    }
    qsort(keys, MODEL_KEYS, sizeof *keys, compare_keys);

    kvstore_range range = {.prefix = ""};
    assert_model(store, keys, &range);
    range.reverse = true;
    assert_model(store, keys, &range);
    range.prefix = "session:";
    range.prefix_size = 8;
    assert_model(store, keys, &range);
    must_compact(store);
    assert_model(store, keys, &range);
    kvstore_close(store);
    free(keys);
}

#define CHOSEN_KEYS 120
#define CHOSEN_STEP 17 /* More than a head has. */

/* In the order of the numbers, each two keys have more in common than the two
 * after them. */
static size_t make_chosen_key(char *key, unsigned number)
{
    size_t size = (size_t)CHOSEN_STEP * ((CHOSEN_KEYS - 1 - number) / 2);
    memset(key, 'a', size);
    memcpy(key + size, "bbbbbbbbbbbbbbbbbbbbbbbb", 24);
    key[size + 24] = (char)('0' + number % 2);
    return size + 25;
}

static void set_chosen_key(kvstore *store, unsigned number, unsigned round)
{
    static char key[CHOSEN_STEP * CHOSEN_KEYS + 32];
    char value[16];
    size_t size = make_chosen_key(key, number);
    (void)snprintf(value, sizeof value, "%u %u", number, round);
    must_set_bytes(store, key, size, value);
    if (number % 5 == round) {
        assert_int_equal(kvstore_remove(store, key, size), KVSTORE_OK);
    }
}

static void assert_chosen_key(const kvstore_entry *entry, unsigned number)
{
    static char key[CHOSEN_STEP * CHOSEN_KEYS + 32];
    char value[16];
    size_t size = make_chosen_key(key, number);
    (void)snprintf(value, sizeof value, "%u 2", number);
    assert_int_equal(entry->key_size, size);
    assert_memory_equal(entry->key, key, size);
    assert_string_equal(entry->value, value);
}

/* So that each look at the keys tells only two of them from the others. */
static void order_of_chosen_keys_is_found(void **state)
{
    const kvstore_entry *entry = NULL;
    kvstore *store = open_plain(*state);
    for (unsigned i = 0; i < 3 * CHOSEN_KEYS; i++) {
        set_chosen_key(store, i * 7 % CHOSEN_KEYS, i / CHOSEN_KEYS);
    }

    kvstore_iterator *iterator = create(store, NULL);

    for (unsigned i = 0; i < CHOSEN_KEYS; i++) {
        if (i % 5 != 2) {
            assert_int_equal(kvstore_iterator_next(iterator, &entry),
                             KVSTORE_OK);
            assert_chosen_key(entry, i);
        }
    }
    assert_int_equal(kvstore_iterator_next(iterator, &entry),
                     KVSTORE_NOT_FOUND);
    kvstore_iterator_free(iterator);
    kvstore_close(store);
}

/* An order in which the median of first, middle and last is next to the least:
 * a quicksort gets nowhere with it (Musser, "Introspective Sorting and Selection
 * Algorithms", 1997). */
#define WORST_COUNT 2001u

static unsigned worst_number(unsigned at)
{
    const unsigned half = WORST_COUNT / 2;
    return at >= half ? 2 * (at - half + 1) : at % 2 == 0 ? at + 1 : half + at;
}

static void order_of_the_worst_keys_is_found(void **state)
{
    kvstore *store = open_plain(*state);
    char key[16];
    for (unsigned i = 0; i < WORST_COUNT; i++) {
        (void)snprintf(key, sizeof key, "%05u", worst_number(i));
        must_set(store, key, "");
    }

    kvstore_iterator *iterator = create(store, NULL);

    memset(key, 0, sizeof key);
    for (unsigned i = 0; i < WORST_COUNT; i++) {
        const kvstore_entry *entry = NULL;
        assert_int_equal(kvstore_iterator_next(iterator, &entry), KVSTORE_OK);
        assert_int_equal(entry->key_size, 5);
        assert_true(memcmp(key, entry->key, 5) < 0);
        memcpy(key, entry->key, 5);
    }
    kvstore_iterator_free(iterator);
    kvstore_close(store);
}

/* --- Memory --- */

static size_t memory_peak;
static size_t memory_last; /* Of the notes, which are the only ones to grow. */

static void *measured_realloc(void *memory, size_t size)
{
    memory_last = size;
    memory_peak = size > memory_peak ? size : memory_peak;
    return realloc(memory, size);
}

/* Every key twice, and some half of them twenty times. */
static void memory_is_bounded_by_keys(void **state)
{
    struct kv_io_table table = *kv_io_system_table();
    kvstore *store = open_plain(*state);
    for (int i = 0; i < 30000; i++) {
        char key[64];
        (void)snprintf(
            key, sizeof key, "a key that is long enough %d", i % 5000);
        must_set(store, key, "1");
    }
    table.realloc = measured_realloc;
    memory_peak = 0;
    kv_io_swap_table(&table);

    kvstore_range range = range_of("a key", "", "");
    kvstore_iterator *iterator = create(store, &range);

    kv_io_swap_table(kv_io_system_table());
    assert_true(memory_peak <= (size_t)5000 * 48);
    assert_int_equal(memory_last, 5000 * 24);
    kvstore_iterator_free(iterator);
    kvstore_close(store);
}

/* --- Failures --- */

static bool iterate_once(const kvstore *store, const kvstore_range *range)
{
    kvstore_iterator *iterator = NULL;
    const kvstore_entry *entry = NULL;
    char seen[SEEN_SIZE] = "";
    kvstore_status status = kvstore_iterator_create(store, range, &iterator);
    if (status == KVSTORE_OK) {
        while ((status = kvstore_iterator_next(iterator, &entry)) ==
               KVSTORE_OK) {
            add_entry(seen, entry);
        }
    }
    kvstore_iterator_free(iterator);
    assert_true(status == KVSTORE_NOT_FOUND || status == KVSTORE_NO_MEMORY ||
                status == KVSTORE_IO);
    if (status == KVSTORE_NOT_FOUND) {
        assert_string_equal(seen,
                            "key\\20that\\20is\\20long\\20one=1 "
                            "key\\20that\\20is\\20long\\20two=3 "
                            "key\\ff=4 ");
    }
    return status == KVSTORE_NOT_FOUND;
}

static void each_failure_is_survived(void **state)
{
    kvstore *store = open_plain(*state);
    const kvstore_range range = range_of("key", "", "");
    must_set(store, "other", "0");
    must_set(store, "key that is long one", "1");
    must_set(store, "key that is long two", "2");
    must_set(store, "key that is long two", "3");
    must_set(store, "key\xff", "4");
    fault_table_install();
    int64_t before = fault_table_allocations();
    int files_before = fault_table_open_files();

    for (size_t i = 0; i < fault_kind_count; i++) {
        bool has_fired = true;
        for (uint64_t n = 1; has_fired; n++) {
            fault_table_plan(&fault_kinds[i], n, false);
            bool is_whole = iterate_once(store, &range);
            has_fired = fault_table_fired() > 0;
            assert_true(is_whole || has_fired);
            fault_table_plan(NULL, 0, false);
            assert_int_equal(fault_table_allocations(), before);
            assert_int_equal(fault_table_open_files(), files_before);
        }
    }

    fault_table_uninstall();
    kv_io_swap_table(kv_io_system_table());
    kvstore_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(keys_and_values_come_in_order),
        STORE_TEST(keys_with_escapes_come_in_order),
        STORE_TEST(range_is_obeyed),
        STORE_TEST(prefix_may_be_any_bytes),
        STORE_TEST(foreign_lines_match_a_prefix),
        STORE_TEST(expiry_is_judged_at_the_making),
        STORE_TEST(damaged_keys_are_entries),
        STORE_TEST(broken_batches_are_damage),
        STORE_TEST(record_behind_lost_bytes_is_seen),
        STORE_TEST(what_comes_later_is_not_seen),
        STORE_TEST(iterator_may_outlive_its_handle),
        STORE_TEST(child_of_fork_is_refused),
        STORE_TEST(wrong_arguments_are_refused),
        STORE_TEST(answers_are_those_of_get),
        STORE_TEST(order_is_that_of_a_model),
        STORE_TEST(order_of_chosen_keys_is_found),
        STORE_TEST(order_of_the_worst_keys_is_found),
        STORE_TEST(memory_is_bounded_by_keys),
        STORE_TEST(each_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
