/* SPDX-License-Identifier: MIT */

/* Calls that change the store of a trial. What a call that failed may have done
 * is allowed from then on. */

#include "trial_changes.h"

#include "trial_oracle.h"
#include "trial_reads.h"

#include <stdio.h>
#include <string.h>

#define NEVER KVSTORE_EXPIRES_NEVER

/* --- The handle --- */

bool trial_open(struct trial *trial, const kvstore_options *options)
{
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_open(trial->path, options, &trial->store);
    if ((trial->store != NULL) != (status == KVSTORE_OK)) {
        trial_complain(trial, "open gave %d and a handle", (int)status);
    }
    trial->is_sync_lost = false;
    return trial_end_call(trial, TRIAL_OPENS, "open", before, status);
}

void trial_close(struct trial *trial)
{
    trial_end_watch(trial);
    kvstore_close(trial->store);
    trial->store = NULL;
}

/* --- One key --- */

void trial_set(struct trial *trial, const char *key, const char *value)
{
    trial_set_with(trial, key, value, KVSTORE_IF_ANY, NULL, NEVER);
}

static bool meets(const struct trial_value *value,
                  int condition,
                  const char *expected)
{
    switch (condition) {
    case KVSTORE_IF_ABSENT:
        return value->text == NULL;
    case KVSTORE_IF_PRESENT:
        return value->text != NULL;
    case KVSTORE_IF_VALUE:
        return value->text != NULL && strcmp(value->text, expected) == 0;
    default:
        return true;
    }
}

/* The key meets the condition, or does not: other values are none. */
static void see_condition(struct trial *trial,
                          const char *key,
                          int condition,
                          const char *expected,
                          bool is_met)
{
    struct trial_key *entry = trial_find(trial, key);
    size_t kept = 0;
    for (size_t i = 0; i < entry->value_count; i++) {
        const struct trial_value value = entry->values[i];
        if (meets(&value, condition, expected) == is_met) {
            entry->values[kept++] = value;
        }
    }
    if (kept == 0) {
        trial_complain(trial,
                       "'%s' is said %sto meet condition %d",
                       key,
                       is_met ? "" : "not ",
                       condition);
        return;
    }
    entry->value_count = kept;
}

/* What the key has where the condition is met is replaced; expires_ms may be
 * KVSTORE_EXPIRES_KEEP, and value the one that it has. */
static void replace(struct trial *trial,
                    const char *key,
                    struct trial_value new_value,
                    bool keeps_text)
{
    struct trial_key old = *trial_find(trial, key);
    for (size_t i = 0; i < old.value_count; i++) {
        struct trial_value value = new_value;
        if (value.expires_ms == KVSTORE_EXPIRES_KEEP) {
            value.expires_ms =
                old.values[i].text == NULL ? NEVER : old.values[i].expires_ms;
        }
        if (keeps_text) {
            value.text = old.values[i].text;
        }
        if (i == 0) {
            trial_expect_until(trial, key, value.text, value.expires_ms);
        } else {
            trial_allow(trial, key, value.text, value.expires_ms);
        }
    }
}

/* A change was made, or was not since it failed and may have been made. */
static void change(struct trial *trial,
                   const char *key,
                   struct trial_value new_value,
                   bool keeps_text,
                   bool is_done)
{
    struct trial_key old = *trial_find(trial, key);
    replace(trial, key, new_value, keeps_text);
    for (size_t i = 0; i < old.value_count && !is_done; i++) {
        trial_allow(trial, key, old.values[i].text, old.values[i].expires_ms);
    }
}

/* Draws the conclusions from a call that makes a change on a condition. */
static void conclude(struct trial *trial,
                     const char *call,
                     struct trial_before before,
                     kvstore_status status,
                     const char *key,
                     int condition,
                     const char *expected,
                     struct trial_value new_value)
{
    if (!trial_end_call(trial, TRIAL_WRITES, call, before, status)) {
        change(trial, key, new_value, false, false);
        return;
    }
    if (status == KVSTORE_NOT_FOUND && condition != KVSTORE_IF_PRESENT) {
        trial_complain(trial, "%s says that there is none", call);
    }
    see_condition(trial, key, condition, expected, status == KVSTORE_OK);
    if (status == KVSTORE_OK) {
        change(trial, key, new_value, false, true);
    }
}

void trial_set_with(struct trial *trial,
                    const char *key,
                    const char *value,
                    int condition,
                    const char *expected,
                    int64_t expires_ms)
{
    if (trial->store == NULL) {
        return;
    }
    const kvstore_set_options options = {
        .condition = condition,
        .expected = expected,
        .expected_size = expected == NULL ? 0 : strlen(expected),
        .expires_ms = expires_ms};
    bool is_plain = condition == KVSTORE_IF_ANY && expires_ms == NEVER;
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        is_plain
            ? kvstore_set(trial->store, key, strlen(key), value, strlen(value))
            : kvstore_set_with(trial->store,
                               key,
                               strlen(key),
                               value,
                               strlen(value),
                               &options);
    conclude(trial,
             is_plain ? "set" : "set_with",
             before,
             status,
             key,
             condition,
             expected,
             (struct trial_value){.text = value, .expires_ms = expires_ms});
}

void trial_remove(struct trial *trial, const char *key)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_remove(trial->store, key, strlen(key));
    conclude(trial,
             "remove",
             before,
             status,
             key,
             KVSTORE_IF_PRESENT,
             NULL,
             (struct trial_value){.text = NULL});
}

void trial_remove_if(struct trial *trial, const char *key, const char *expected)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_remove_if(
        trial->store, key, strlen(key), expected, strlen(expected));
    conclude(trial,
             "remove_if",
             before,
             status,
             key,
             KVSTORE_IF_VALUE,
             expected,
             (struct trial_value){.text = NULL});
}

void trial_take(struct trial *trial, const char *key)
{
    if (trial->store == NULL) {
        return;
    }
    void *value = NULL;
    size_t size = 0;
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_take(trial->store, key, strlen(key), &value, &size);
    if (status == KVSTORE_OK) {
        trial_see(trial, key, value);
    } else if (value != NULL || size != 0) {
        trial_complain(trial, "a failed take gave a value");
    }
    kvstore_free(value);
    conclude(trial,
             "take",
             before,
             status,
             key,
             KVSTORE_IF_PRESENT,
             NULL,
             (struct trial_value){.text = NULL});
}

void trial_expire(struct trial *trial, const char *key, int64_t expires_ms)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_expire(trial->store, key, strlen(key), expires_ms);
    bool is_done =
        trial_end_call(trial, TRIAL_WRITES, "expire", before, status);
    if (is_done) {
        see_condition(
            trial, key, KVSTORE_IF_PRESENT, NULL, status == KVSTORE_OK);
    }
    if (status != KVSTORE_NOT_FOUND) {
        change(trial,
               key,
               (struct trial_value){.expires_ms = expires_ms},
               true,
               is_done);
    }
}

void trial_increment(struct trial *trial, const char *key, const char *sum)
{
    if (trial->store == NULL) {
        return;
    }
    int64_t number = -1;
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_increment(trial->store, key, strlen(key), 1, 0, &number);
    conclude(
        trial,
        "increment",
        before,
        status,
        key,
        KVSTORE_IF_ANY,
        NULL,
        (struct trial_value){.text = sum, .expires_ms = KVSTORE_EXPIRES_KEEP});
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    if (status == KVSTORE_OK ? strcmp(text, sum) != 0 : number != 0) {
        trial_complain(trial, "increment gave %d, and %s", (int)status, text);
    }
}

void trial_set_refused(struct trial *trial,
                       const char *key,
                       kvstore_status expected)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_set(trial->store, key, strlen(key), "refused", 7);
    if (status == KVSTORE_OK) {
        trial_complain(trial, "a write was not refused");
    } else if (status != expected) {
        (void)trial_end_call(trial, TRIAL_WRITES, "set", before, status);
    }
}

/* --- Several keys --- */

static const struct trial_change few[] = {{"a", "batch"},
                                          {"b", NULL},
                                          {"new", "batch"}};
#define FEW (sizeof few / sizeof few[0])

static kvstore_status fill(kvstore_batch *batch,
                           const struct trial_change *changes,
                           size_t count)
{
    kvstore_status status = KVSTORE_OK;
    for (size_t i = 0; i < count && status == KVSTORE_OK; i++) {
        const char *key = changes[i].key;
        const char *value = changes[i].value;
        status =
            value == NULL
                ? kvstore_batch_remove(batch, key, strlen(key))
                : kvstore_batch_set(
                      batch, key, strlen(key), value, strlen(value), NEVER);
    }
    return status;
}

/* Fills a batch, empties it and fills it again. */
static kvstore_status write_few(struct trial *trial, int condition)
{
    kvstore_batch *batch = NULL;
    kvstore_status status = kvstore_batch_create(&batch);
    if (status == KVSTORE_OK) {
        status = kvstore_batch_set(batch, "never", 5, "never", 5, NEVER);
        kvstore_batch_clear(batch);
    }
    if (status == KVSTORE_OK) {
        status = fill(batch, few, FEW);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_batch_require(batch, "a", 1, condition, NULL, 0);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(trial->store, batch);
    }
    kvstore_batch_free(batch);
    return status;
}

static void conclude_batch(struct trial *trial,
                           const struct trial_change *changes,
                           size_t count,
                           bool is_done)
{
    trial->batch = changes;
    trial->batch_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct trial_value value = {.text = changes[i].value};
        change(trial, changes[i].key, value, false, is_done);
    }
}

void trial_write(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = write_few(trial, KVSTORE_IF_PRESENT);
    if (status == KVSTORE_CONFLICT || status == KVSTORE_NOT_FOUND) {
        trial_complain(trial, "write gave %d", (int)status);
    }
    bool is_done = trial_end_call(trial, TRIAL_WRITES, "write", before, status);
    conclude_batch(trial, few, FEW, is_done);
}

void trial_write_in_conflict(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = write_few(trial, KVSTORE_IF_ABSENT);
    if (status == KVSTORE_OK) {
        trial_complain(trial, "a batch was written against its condition");
    }
    (void)trial_end_call(trial, TRIAL_WRITES, "write", before, status);
}

#define MANY 256u

/* Those of the many keys that are looked at. */
static const struct trial_change of_many[] = {{"m0", "many"},
                                              {"m100", "many"},
                                              {"m255", "many"}};
#define OF_MANY (sizeof of_many / sizeof of_many[0])

void trial_write_many(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    kvstore_batch *batch = NULL;
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_batch_create(&batch);
    for (unsigned i = 0; i < MANY && status == KVSTORE_OK; i++) {
        char key[16];
        int size = snprintf(key, sizeof key, "m%u", i);
        status = kvstore_batch_set(batch, key, (size_t)size, "many", 4, NEVER);
    }
    if (status == KVSTORE_OK && kvstore_batch_count(batch) != MANY) {
        trial_complain(trial, "the batch has not all changes");
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(trial->store, batch);
    }
    kvstore_batch_free(batch);
    bool is_done = trial_end_call(trial, TRIAL_WRITES, "write", before, status);
    conclude_batch(trial, of_many, OF_MANY, is_done);
}

struct updating {
    struct trial *trial;
    const char *key;
    const char *value;
};

static bool make_update(void *context,
                        const kvstore_entry *current,
                        kvstore_batch *batch)
{
    const struct updating *updating = context;
    const char *key = updating->key;
    const char *value = updating->value;
    trial_see_until(updating->trial,
                    key,
                    current->status == KVSTORE_OK ? current->value : NULL,
                    current->status == KVSTORE_OK ? current->expires_ms
                                                  : NEVER);
    return kvstore_batch_set(
               batch, key, strlen(key), value, strlen(value), NEVER) ==
           KVSTORE_OK;
}

void trial_update(struct trial *trial, const char *key, const char *value)
{
    if (trial->store == NULL) {
        return;
    }
    struct updating updating = {.trial = trial, .key = key, .value = value};
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_update(trial->store, key, strlen(key), make_update, &updating);
    if (status == KVSTORE_CONFLICT && fault_table_fired() == before.fired) {
        trial_complain(trial, "an update gave up by itself");
    }
    bool is_done =
        trial_end_call(trial, TRIAL_WRITES, "update", before, status);
    change(trial,
           key,
           (struct trial_value){.text = value},
           false,
           is_done && status == KVSTORE_OK);
}

static size_t count_made(struct trial *trial)
{
    size_t made = 0;
    for (size_t i = 0; i < trial->batch_count; i++) {
        const struct trial_key *key = trial_find(trial, trial->batch[i].key);
        const char *value = trial->batch[i].value;
        const char *found = key->values[0].text;
        made += value == NULL || found == NULL ? value == found
                                               : strcmp(value, found) == 0;
    }
    return made;
}

static bool count_key(void *context, const void *key, size_t key_size)
{
    (void)key;
    (void)key_size;
    ++*(size_t *)context;
    return true;
}

void trial_check_batch(struct trial *trial)
{
    size_t made = count_made(trial);
    if (made != 0 && made != trial->batch_count) {
        trial_complain(trial, "%zu of a batch's changes are there", made);
    }
    size_t count = 0;
    if (trial->batch == of_many && trial->store != NULL &&
        kvstore_list(trial->store, "m", 1, count_key, &count) == KVSTORE_OK &&
        count != (made == 0 ? 0 : MANY)) {
        trial_complain(trial, "%zu of many changes are there", count);
    }
}

/* --- The whole log --- */

void trial_sync(struct trial *trial)
{
    if (trial->store != NULL) {
        struct trial_before before = trial_begin_call();
        kvstore_status status = kvstore_sync(trial->store);
        (void)trial_end_call(trial, TRIAL_WRITES, "sync", before, status);
    }
}

void trial_compact(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_compact(trial->store);
    if (trial_end_call(trial, TRIAL_WRITES, "compact", before, status)) {
        trial->is_sync_lost = false;
        trial->may_refuse = false;
    }
}

void trial_compact_if_due(struct trial *trial)
{
    if (trial->store != NULL) {
        struct trial_before before = trial_begin_call();
        kvstore_status status = kvstore_compact_if_due(trial->store);
        (void)trial_end_call(
            trial, TRIAL_WRITES, "compact_if_due", before, status);
    }
}

void trial_repair(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_repair(trial->store, NULL, NULL);
    if (trial_end_call(trial, TRIAL_WRITES, "repair", before, status)) {
        kvstore_stats stats;
        trial->is_sync_lost = false;
        if (kvstore_get_stats(trial->store, &stats) == KVSTORE_OK &&
            stats.damaged_records > 0) {
            trial_complain(trial, "damage is left");
        }
    }
}
