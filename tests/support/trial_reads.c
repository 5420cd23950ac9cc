/* SPDX-License-Identifier: MIT */

/* Calls that read the store of a trial. */

#include "trial_reads.h"

#include "trial_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any key of a trial. */
#define KEY_SIZE_MAX 256u

/* --- One key --- */

void trial_get(struct trial *trial, const char *key)
{
    if (trial->store == NULL) {
        return;
    }
    void *value = NULL;
    size_t size = 0;
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_get(trial->store, key, strlen(key), &value, &size);
    if (trial_end_call(trial, TRIAL_READS, "get", before, status)) {
        trial_see(trial, key, value);
    } else if (value != NULL || size != 0) {
        trial_complain(trial, "a failed get gave a value");
    }
    kvstore_free(value);
}

void trial_get_into(struct trial *trial, const char *key)
{
    static char buffer[8192];
    if (trial->store == NULL) {
        return;
    }
    size_t size = 0;
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_get_into(
        trial->store, key, strlen(key), buffer, sizeof buffer - 1, &size);
    if (trial_end_call(trial, TRIAL_READS, "get_into", before, status)) {
        buffer[size] = '\0';
        trial_see(trial, key, status == KVSTORE_OK ? buffer : NULL);
    }
}

void trial_exists(struct trial *trial, const char *key)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_exists(trial->store, key, strlen(key));
    if (trial_end_call(trial, TRIAL_READS, "exists", before, status) &&
        !trial_may_be(trial_find(trial, key), status == KVSTORE_OK)) {
        trial_complain(trial, "exists gave %d for '%s'", (int)status, key);
    }
}

/* --- Several keys --- */

static void see_item(struct trial *trial, const kvstore_item *item)
{
    bool is_there = item->status == KVSTORE_OK;
    if (is_there || item->status == KVSTORE_NOT_FOUND) {
        trial_see_until(trial,
                        item->key,
                        is_there ? item->value : NULL,
                        is_there ? item->expires_ms : KVSTORE_EXPIRES_NEVER);
    } else if (item->value != NULL) {
        trial_complain(trial, "an item that failed has a value");
    }
    kvstore_free(item->value);
}

/* That one item alone failed is told by its status. */
void trial_get_many(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    kvstore_item items[TRIAL_KEYS_MAX];
    kvstore_status worst = KVSTORE_OK;
    size_t count = trial->key_count;
    for (size_t i = 0; i < count; i++) {
        const char *key = trial->keys[i].key;
        items[i] = (kvstore_item){.key = key, .key_size = strlen(key)};
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_get_many(trial->store, items, count);
    for (size_t i = 0; i < count; i++) {
        bool is_answer = items[i].status == KVSTORE_OK ||
                         items[i].status == KVSTORE_NOT_FOUND;
        worst = is_answer ? worst : items[i].status;
        if (status != KVSTORE_OK && items[i].status != status) {
            trial_complain(trial, "an item does not say that all failed");
        }
    }
    if (worst != KVSTORE_OK || status != KVSTORE_OK) {
        worst = kvstore_last_error()->status; /* It is of one of them. */
    }
    (void)trial_end_call(trial, TRIAL_READS, "get_many", before, worst);
    for (size_t i = 0; i < count; i++) {
        see_item(trial, &items[i]);
    }
}

static bool begins_with(const char *text, const char *prefix)
{
    return prefix == NULL || strncmp(text, prefix, strlen(prefix)) == 0;
}

/* --- All keys --- */

struct listed {
    struct trial *trial;
    char earlier[KEY_SIZE_MAX];
    bool is_listed[TRIAL_KEYS_MAX];
};

static bool see_listed(void *context, const void *key, size_t key_size)
{
    struct listed *listed = context;
    struct trial *trial = listed->trial;
    char text[sizeof listed->earlier] = {0};
    memcpy(text, key, key_size < sizeof text ? key_size : sizeof text - 1);
    if (strcmp(listed->earlier, text) >= 0) {
        trial_complain(trial, "'%s' is listed out of order", text);
    }
    memcpy(listed->earlier, text, sizeof text);
    for (size_t i = 0; i < trial->key_count; i++) {
        listed->is_listed[i] |= strcmp(trial->keys[i].key, text) == 0;
    }
    return true;
}

static void see_presence(struct trial *trial, size_t i, bool is_there)
{
    const char *key = trial->keys[i].key;
    if (!trial_may_be(&trial->keys[i], is_there)) {
        trial_complain(trial, "'%s' is %slisted", key, is_there ? "" : "not ");
    }
}

void trial_list(struct trial *trial, const char *prefix)
{
    struct listed listed = {.trial = trial};
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_list(trial->store,
                                         prefix,
                                         prefix == NULL ? 0 : strlen(prefix),
                                         see_listed,
                                         &listed);
    if (!trial_end_call(trial, TRIAL_READS, "list", before, status)) {
        if (listed.earlier[0] != '\0') {
            trial_complain(trial, "a list that failed told of a key");
        }
        return;
    }
    for (size_t i = 0; i < trial->key_count; i++) {
        if (begins_with(trial->keys[i].key, prefix)) {
            see_presence(trial, i, listed.is_listed[i]);
        } else if (listed.is_listed[i]) {
            trial_complain(trial, "'%s' is listed", trial->keys[i].key);
        }
    }
}

/* What an iterator has given of each key. */
struct gone_through {
    const kvstore_range *range; /* NULL: everything. */
    char earlier[KEY_SIZE_MAX];
    struct {
        bool is_there;
        int64_t expires_ms;
        char text[TRIAL_VALUE_SIZE];
    } values[TRIAL_KEYS_MAX];
};

static void note_order(struct trial *trial,
                       struct gone_through *through,
                       const char *text)
{
    bool is_reverse = through->range != NULL && through->range->reverse;
    int order = strcmp(through->earlier, text);
    if (through->earlier[0] != '\0' && (is_reverse ? order <= 0 : order >= 0)) {
        trial_complain(trial, "'%s' comes out of order", text);
    }
    memcpy(through->earlier, text, sizeof through->earlier);
}

static void note_entry(struct trial *trial,
                       const kvstore_entry *entry,
                       struct gone_through *through)
{
    char text[sizeof through->earlier] = {0};
    memcpy(text,
           entry->key,
           entry->key_size < sizeof text ? entry->key_size : sizeof text - 1);
    note_order(trial, through, text);
    for (size_t i = 0; i < trial->key_count; i++) {
        if (entry->status != KVSTORE_OK ||
            strcmp(trial->keys[i].key, text) != 0) {
            continue;
        }
        through->values[i].is_there = true;
        through->values[i].expires_ms = entry->expires_ms;
        if (entry->value != NULL && entry->value_size < TRIAL_VALUE_SIZE) {
            memcpy(
                through->values[i].text, entry->value, entry->value_size + 1);
        }
    }
}

static kvstore_status go_through(struct trial *trial,
                                 struct gone_through *through)
{
    kvstore_iterator *iterator = NULL;
    const kvstore_entry *entry = NULL;
    kvstore_status status =
        kvstore_iterator_create(trial->store, through->range, &iterator);
    while (status == KVSTORE_OK) {
        status = kvstore_iterator_next(iterator, &entry);
        if (status == KVSTORE_OK) {
            note_entry(trial, entry, through);
        }
    }
    kvstore_iterator_free(iterator);
    return status;
}

/* Checks what an iterator that gets to its end gives of each key. */
void trial_iterate(struct trial *trial, const kvstore_range *range)
{
    static struct gone_through through;
    if (trial->store == NULL) {
        return;
    }
    memset(&through, 0, sizeof through);
    through.range = range;
    struct trial_before before = trial_begin_call();
    kvstore_status status = go_through(trial, &through);
    if (!trial_end_call(trial, TRIAL_READS, "iterate", before, status)) {
        return;
    }
    for (size_t i = 0; i < trial->key_count; i++) {
        bool is_there = through.values[i].is_there;
        const char *key = trial->keys[i].key;
        if (range != NULL && range->keys_only) {
            see_presence(trial, i, is_there);
        } else if (range == NULL || begins_with(key, range->prefix)) {
            trial_see_until(trial,
                            key,
                            is_there ? through.values[i].text : NULL,
                            is_there ? through.values[i].expires_ms
                                     : KVSTORE_EXPIRES_NEVER);
        } else if (is_there) {
            trial_complain(trial, "'%s' is outside of the range", key);
        }
    }
}

/* --- The whole store --- */

/* Damage is an answer, too, and must be reported in the right place. */
void trial_verify(struct trial *trial, bool is_damaged)
{
    if (trial->store == NULL) {
        return;
    }
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_verify(trial->store, NULL, NULL);
    bool is_answer =
        status == KVSTORE_OK ||
        (status == KVSTORE_CORRUPT && kvstore_last_error()->system_errno == 0);
    if (is_answer && (status == KVSTORE_CORRUPT) != is_damaged) {
        trial_complain(
            trial, "verify says %d: %s", status, kvstore_last_error()->message);
    }
    (void)trial_end_call(
        trial, TRIAL_READS, "verify", before, is_answer ? KVSTORE_OK : status);
}

void trial_stats(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    kvstore_stats stats;
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_get_stats(trial->store, &stats);
    if (trial_end_call(trial, TRIAL_READS, "stats", before, status) &&
        stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
                stats.damaged_bytes !=
            stats.log_bytes) {
        trial_complain(trial, "the bytes do not add up");
    }
}

/* --- Backups --- */

static const char *backup_path(const struct trial *trial, const char *end)
{
    static char path[sizeof trial->path + 32];
    (void)snprintf(path, sizeof path, "%s-backup%s", trial->path, end);
    return path;
}

void trial_backup(struct trial *trial)
{
    if (trial->store == NULL) {
        return;
    }
    const char *path = backup_path(trial, "");
    struct trial_before before = trial_begin_call();
    kvstore_status status = kvstore_backup(trial->store, path);
    if (trial_end_call(trial, TRIAL_COPIES, "backup", before, status)) {
        trial->has_backup = true;
    } else if (scratch_has(path, "store.log")) {
        /* Then it is a whole one, and could not be removed. */
        trial->has_backup = true;
        if (fault_table_fired_at(FAULT_UNLINKAT) == 0 &&
            fault_table_fired_at(FAULT_FSTATAT) == 0) {
            trial_complain(trial, "a backup that failed left a store");
        }
    }
    memcpy(trial->backup, trial->keys, sizeof trial->backup);
    trial->backup_count = trial->key_count;
}

/* Checks that a store holds for each key what the backup may hold. */
static void check_copy(struct trial *trial, const char *path)
{
    kvstore *copy = NULL;
    kvstore *own = trial->store;
    if (kvstore_open(path, NULL, &copy) != KVSTORE_OK) {
        trial_complain(
            trial, "a backup is no store: %s", kvstore_last_error()->message);
        return;
    }
    struct trial_key keys[TRIAL_KEYS_MAX];
    size_t key_count = trial->key_count;
    memcpy(keys, trial->keys, sizeof keys);
    memcpy(trial->keys, trial->backup, sizeof keys);
    trial->key_count = trial->backup_count;
    trial->store = copy;
    trial_get_many(trial);
    trial->store = own;
    trial->key_count = key_count;
    memcpy(trial->keys, keys, sizeof keys);
    kvstore_close(copy);
}

void trial_check_backup(struct trial *trial)
{
    if (trial->has_backup) {
        check_copy(trial, backup_path(trial, ""));
    }
    if (trial->has_backup && trial->store != NULL) {
        const char *path = backup_path(trial, "-2");
        if (kvstore_backup(trial->store, path) != KVSTORE_OK) {
            trial_complain(
                trial, "the next backup: %s", kvstore_last_error()->message);
        }
        scratch_remove(path);
    }
    scratch_remove(backup_path(trial, ""));
}

/* --- Watching --- */

/* What the watcher has told of each key. */
static struct {
    bool is_there;
    char text[TRIAL_VALUE_SIZE];
} watched[TRIAL_KEYS_MAX];

void trial_begin_watch(struct trial *trial, bool from_start)
{
    if (trial->store == NULL) {
        return;
    }
    const kvstore_watch_options options = {.from_start = from_start};
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_watcher_create(trial->store, &options, &trial->watcher);
    (void)trial_end_call(trial, TRIAL_READS, "watch", before, status);
    memset(watched, 0, sizeof watched);
    for (size_t i = 0; i < trial->key_count && !from_start; i++) {
        const char *text = trial->keys[i].values[0].text;
        watched[i].is_there = text != NULL;
        (void)strcpy(watched[i].text, text == NULL ? "" : text);
    }
}

static void note_change(const struct trial *trial, const kvstore_change *change)
{
    if (change->kind == KVSTORE_CHANGE_RESET) {
        memset(watched, 0, sizeof watched);
    }
    for (size_t i = 0; i < trial->key_count && change->entry != NULL; i++) {
        const kvstore_entry *entry = change->entry;
        const char *key = trial->keys[i].key;
        if (strlen(key) != entry->key_size ||
            memcmp(key, entry->key, entry->key_size) != 0) {
            continue;
        }
        watched[i].is_there = change->kind == KVSTORE_CHANGE_SET;
        if (entry->value != NULL && entry->value_size < TRIAL_VALUE_SIZE) {
            memcpy(watched[i].text, entry->value, entry->value_size + 1);
        }
    }
}

void trial_watch(struct trial *trial)
{
    bool goes_on = trial->watcher != NULL;
    while (goes_on) {
        const kvstore_change *change = NULL;
        struct trial_before before = trial_begin_call();
        kvstore_status status =
            kvstore_watcher_next(trial->watcher, 0, &change);
        goes_on = trial_end_call(
                      trial, TRIAL_READS, "watch (next)", before, status) &&
                  status == KVSTORE_OK;
        if (goes_on) {
            note_change(trial, change);
        }
    }
}

void trial_watch_prefix(struct trial *trial, const char *prefix)
{
    if (trial->store == NULL) {
        return;
    }
    const kvstore_watch_options options = {.prefix = prefix,
                                           .prefix_size = strlen(prefix),
                                           .from_start = true,
                                           .keys_only = true};
    kvstore_watcher *watcher = NULL;
    const kvstore_change *change = NULL;
    struct trial_before before = trial_begin_call();
    kvstore_status status =
        kvstore_watcher_create(trial->store, &options, &watcher);
    while (status == KVSTORE_OK) {
        status = kvstore_watcher_next(watcher, 0, &change);
        if (status == KVSTORE_OK && change->entry != NULL &&
            memcmp(change->entry->key, prefix, strlen(prefix)) != 0) {
            trial_complain(trial, "a watcher tells of another key");
        }
    }
    kvstore_watcher_free(watcher);
    (void)trial_end_call(trial, TRIAL_READS, "watch", before, status);
}

void trial_end_watch(struct trial *trial)
{
    kvstore_watcher_free(trial->watcher);
    trial->watcher = NULL;
}

void trial_check_watch(struct trial *trial)
{
    if (trial->watcher == NULL) {
        return;
    }
    trial_watch(trial);
    for (size_t i = 0; i < trial->key_count; i++) {
        const char *told = watched[i].is_there ? watched[i].text : NULL;
        trial_see(trial, trial->keys[i].key, told);
    }
}
