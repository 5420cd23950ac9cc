/* SPDX-License-Identifier: MIT */

/* Each question is put to every call that can answer it. */

#include "store_answers.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool store_failure_set(struct store_failure *failure,
                       const char *relation,
                       const char *format,
                       ...)
{
    if (failure->relation[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        (void)snprintf(
            failure->relation, sizeof failure->relation, "%s", relation);
        (void)vsnprintf(
            failure->detail, sizeof failure->detail, format, arguments);
        va_end(arguments);
    }
    return true;
}

/* --- Gets --- */

static uint64_t hash_of(const char *bytes, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static struct store_answer make_answer(kvstore_status status,
                                       const void *value,
                                       size_t size)
{
    struct store_answer answer = {.status = status};
    if (status == KVSTORE_OK) {
        answer.size = size;
        answer.hash = hash_of(value, size);
        size_t begin =
            size < sizeof answer.begin ? size : sizeof answer.begin - 1;
        memcpy(answer.begin, value, begin);
    }
    return answer;
}

static bool is_same(const struct store_answer *a, const struct store_answer *b)
{
    return a->status == b->status && a->size == b->size && a->hash == b->hash;
}

static void tell_difference(const struct store_answer *wanted,
                            const struct store_answer *found,
                            size_t key,
                            const char *relation,
                            struct store_failure *failure)
{
    (void)store_failure_set(failure,
                            relation,
                            "key '%s': %s '%s', not %s '%s'",
                            random_log_keys[key],
                            kvstore_strerror(found->status),
                            found->begin,
                            kvstore_strerror(wanted->status),
                            wanted->begin);
}

static void get_one(const kvstore *store,
                    size_t key,
                    struct store_answer *answer_out)
{
    const char *name = random_log_keys[key];
    void *value = NULL;
    size_t size = 0;
    kvstore_status status =
        kvstore_get(store, name, strlen(name), &value, &size);
    *answer_out = make_answer(status, value, size);
    kvstore_free(value);
}

static bool get_otherwise(const kvstore *store,
                          const struct store_answers *answers,
                          struct store_failure *failure)
{
    static char buffer[1 << 20];
    kvstore_item items[RANDOM_LOG_KEYS] = {{.key = NULL}};
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        const char *name = random_log_keys[i];
        size_t size = 0;
        kvstore_status status = kvstore_get_into(
            store, name, strlen(name), buffer, sizeof buffer, &size);
        struct store_answer answer = make_answer(status, buffer, size);
        if (!is_same(&answers->keys[i], &answer)) {
            tell_difference(
                &answers->keys[i], &answer, i, "get_into = get", failure);
        }
        items[i].key = name;
        items[i].key_size = strlen(name);
    }
    if (kvstore_get_many(store, items, RANDOM_LOG_KEYS) != KVSTORE_OK) {
        (void)store_failure_set(
            failure, "get_many", "%s", kvstore_last_error()->message);
    }
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        struct store_answer answer =
            make_answer(items[i].status, items[i].value, items[i].value_size);
        if (!is_same(&answers->keys[i], &answer)) {
            tell_difference(
                &answers->keys[i], &answer, i, "get_many = get", failure);
        }
        kvstore_free(items[i].value);
    }
    return failure->relation[0] == '\0';
}

/* --- Listing --- */

struct listed {
    const kvstore *store;
    struct store_failure *failure;
    bool is_listed[RANDOM_LOG_KEYS];
    char last[64];
    size_t last_size;
    bool has_last;
};

static void check_order(struct listed *listed, const void *key, size_t size)
{
    size_t both = size < listed->last_size ? size : listed->last_size;
    int order = memcmp(listed->last, key, both);
    if (listed->has_last &&
        (order > 0 || (order == 0 && listed->last_size >= size))) {
        (void)store_failure_set(listed->failure, "list in order", "not");
    }
    listed->last_size = size < sizeof listed->last ? size : sizeof listed->last;
    memcpy(listed->last, key, listed->last_size);
    listed->has_last = true;
}

static bool visit_key(void *context, const void *key, size_t size)
{
    struct listed *listed = context;
    void *value = NULL;
    size_t value_size = 0;
    check_order(listed, key, size);
    if (size <= KVSTORE_KEY_SIZE_MAX && size > 0) {
        if (kvstore_get(listed->store, key, size, &value, &value_size) ==
            KVSTORE_NOT_FOUND) {
            (void)store_failure_set(listed->failure,
                                    "list = get",
                                    "'%.*s' is listed and not found",
                                    (int)size,
                                    (const char *)key);
        }
        kvstore_free(value);
    }
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        if (strlen(random_log_keys[i]) == size &&
            memcmp(random_log_keys[i], key, size) == 0) {
            listed->is_listed[i] = true;
        }
    }
    return true;
}

static bool list_all(const kvstore *store,
                     const struct store_answers *answers,
                     struct store_failure *failure)
{
    struct listed listed = {.store = store, .failure = failure};
    if (kvstore_list(store, NULL, 0, visit_key, &listed) != KVSTORE_OK) {
        return !store_failure_set(
            failure, "list", "%s", kvstore_last_error()->message);
    }
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        bool is_there = answers->keys[i].status != KVSTORE_NOT_FOUND;
        if (is_there != listed.is_listed[i]) {
            (void)store_failure_set(failure,
                                    "list = get",
                                    "'%s': a get says %s",
                                    random_log_keys[i],
                                    kvstore_strerror(answers->keys[i].status));
        }
    }
    return failure->relation[0] == '\0';
}

/* --- Counters and damage --- */

struct checked {
    struct store_answers *answers;
    struct store_failure *failure;
    uint64_t bytes;
    uint64_t newer; /* Records of a newer version, which are no damage. */
};

static bool visit_damage(void *context, const kvstore_damage *damage)
{
    struct checked *checked = context;
    struct store_answers *answers = checked->answers;
    if (damage->kind > KVSTORE_DAMAGE_MOVED) {
        checked->newer++;
        return true;
    }
    if (damage->kind > KVSTORE_DAMAGE_BATCH) {
        (void)store_failure_set(checked->failure,
                                "verify finds no fault with the index",
                                "kind %d at %" PRIu64,
                                damage->kind,
                                damage->offset);
        return true;
    }
    if (answers->place_count < ANSWERS_PLACES) {
        answers->places[answers->place_count].offset = damage->offset;
        answers->places[answers->place_count].length = damage->length;
    }
    answers->place_count++;
    checked->bytes += damage->length;
    return true;
}

static bool add_up(const kvstore_stats *stats, struct store_failure *failure)
{
    uint64_t sum = stats->live_bytes + stats->stale_bytes + stats->blank_bytes +
                   stats->damaged_bytes;
    bool is_good =
        sum == stats->log_bytes &&
        stats->tombstone_bytes <= stats->stale_bytes &&
        (stats->damaged_records == 0) == (stats->damaged_offset == UINT64_MAX);
    if (!is_good) {
        (void)store_failure_set(failure,
                                "counters add up",
                                "%" PRIu64 " of %" PRIu64,
                                sum,
                                stats->log_bytes);
    }
    return is_good;
}

static bool verify_all(const kvstore *store,
                       struct store_answers *answers,
                       struct store_failure *failure)
{
    const kvstore_stats *stats = &answers->stats;
    struct checked checked = {.answers = answers, .failure = failure};
    kvstore_status status = kvstore_verify(store, visit_damage, &checked);
    bool has_damage = answers->place_count > 0;
    if (status != KVSTORE_OK && status != KVSTORE_CORRUPT &&
        (status != KVSTORE_UNSUPPORTED || stats->unknown_records == 0)) {
        (void)store_failure_set(
            failure, "verify", "%s", kvstore_last_error()->message);
    }
    if (stats->unknown_records == 0 &&
        has_damage != (status == KVSTORE_CORRUPT)) {
        (void)store_failure_set(failure,
                                "verify says what it tells",
                                "%s",
                                kvstore_strerror(status));
    }
    if (checked.newer > 0 && checked.newer != stats->unknown_records) {
        (void)store_failure_set(failure,
                                "verify = stats of newer records",
                                "%" PRIu64 ", not %" PRIu64,
                                checked.newer,
                                stats->unknown_records);
    }
    if (answers->place_count != stats->damaged_records ||
        checked.bytes != stats->damaged_bytes ||
        (has_damage && answers->places[0].offset != stats->damaged_offset)) {
        (void)store_failure_set(failure,
                                "verify = stats",
                                "%zu lines, %" PRIu64 " bytes; %" PRIu64
                                ", %" PRIu64,
                                answers->place_count,
                                checked.bytes,
                                stats->damaged_records,
                                stats->damaged_bytes);
    }
    return failure->relation[0] == '\0';
}

bool store_answers_take(const kvstore *store,
                        const char *when,
                        struct store_answers *answers_out,
                        struct store_failure *failure)
{
    *answers_out = (struct store_answers){.place_count = 0};
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        get_one(store, i, &answers_out->keys[i]);
    }
    if (kvstore_get_stats(store, &answers_out->stats) != KVSTORE_OK) {
        (void)store_failure_set(
            failure, "stats", "%s", kvstore_last_error()->message);
    }
    bool is_good = failure->relation[0] == '\0' &&
                   add_up(&answers_out->stats, failure) &&
                   get_otherwise(store, answers_out, failure) &&
                   list_all(store, answers_out, failure) &&
                   verify_all(store, answers_out, failure);
    if (!is_good) {
        size_t size = strlen(failure->relation);
        (void)snprintf(failure->relation + size,
                       sizeof failure->relation - size,
                       " (%s)",
                       when);
    }
    return is_good;
}

bool store_answers_same_keys(const struct store_answers *wanted,
                             const struct store_answers *found,
                             const char *relation,
                             struct store_failure *failure)
{
    for (size_t i = 0; i < RANDOM_LOG_KEYS; i++) {
        if (!is_same(&wanted->keys[i], &found->keys[i])) {
            tell_difference(
                &wanted->keys[i], &found->keys[i], i, relation, failure);
            return false;
        }
    }
    return true;
}

bool store_answers_same_stats(const struct store_answers *wanted,
                              const struct store_answers *found,
                              const char *relation,
                              struct store_failure *failure)
{
    const kvstore_stats *a = &wanted->stats;
    const kvstore_stats *b = &found->stats;
    const struct {
        const char *name;
        uint64_t wanted;
        uint64_t found;
    } counters[] = {{"keys", a->keys, b->keys},
                    {"live", a->live_bytes, b->live_bytes},
                    {"stale", a->stale_bytes, b->stale_bytes},
                    {"log", a->log_bytes, b->log_bytes},
                    {"damaged", a->damaged_records, b->damaged_records},
                    {"blank", a->blank_bytes, b->blank_bytes},
                    {"damaged bytes", a->damaged_bytes, b->damaged_bytes},
                    {"first damage", a->damaged_offset, b->damaged_offset},
                    {"tombstones", a->tombstone_bytes, b->tombstone_bytes},
                    {"unknown", a->unknown_records, b->unknown_records}};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        if (counters[i].wanted != counters[i].found) {
            (void)store_failure_set(failure,
                                    relation,
                                    "%s: %" PRId64 ", not %" PRId64,
                                    counters[i].name,
                                    (int64_t)counters[i].found,
                                    (int64_t)counters[i].wanted);
            return false;
        }
    }
    return true;
}
