/* SPDX-License-Identifier: MIT */

/* What each key may hold, and how a call may end. */

#include "trial_oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COMPLAINTS_SHOWN 40

static void show_plan(const struct trial *trial)
{
    const struct trial_plan *plan = &trial->plan;
    (void)fprintf(stderr,
                  "%s, %s at %llu%s",
                  trial->workload->name,
                  plan->kind == NULL ? "no fault" : plan->kind->name,
                  (unsigned long long)plan->n,
                  plan->is_for_good ? " for good" : "");
    if (plan->second != NULL) {
        (void)fprintf(stderr,
                      " and %s at %llu",
                      plan->second->name,
                      (unsigned long long)plan->second_n);
    }
    if (fault_table_first_fired() != NULL) {
        (void)fprintf(stderr,
                      " (%s, %s)",
                      fault_table_first_fired(),
                      fault_table_last_fired());
    }
}

void trial_complain(struct trial *trial, const char *format, ...)
{
    static unsigned shown;
    trial->complaints++;
    if (shown++ >= COMPLAINTS_SHOWN) {
        return;
    }
    show_plan(trial);
    (void)fputs(": ", stderr);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

/* --- What keys may hold --- */

struct trial_key *trial_find(struct trial *trial, const char *key)
{
    for (size_t i = 0; i < trial->key_count; i++) {
        if (strcmp(trial->keys[i].key, key) == 0) {
            return &trial->keys[i];
        }
    }
    if (trial->key_count == TRIAL_KEYS_MAX) {
        scratch_die("too many keys in a trial");
    }
    struct trial_key *added = &trial->keys[trial->key_count++];
    *added = (struct trial_key){.key = key, .value_count = 1};
    return added;
}

void trial_expect_until(struct trial *trial,
                        const char *key,
                        const char *value,
                        int64_t expires_ms)
{
    struct trial_key *entry = trial_find(trial, key);
    entry->values[0] =
        (struct trial_value){.text = value, .expires_ms = expires_ms};
    entry->value_count = 1;
    entry->late = NULL;
}

void trial_expect_late(struct trial *trial, const char *key, const char *value)
{
    trial_expect(trial, key, NULL);
    trial_allow(trial, key, value, KVSTORE_EXPIRES_NEVER);
    trial_find(trial, key)->late = value;
}

void trial_check_late(struct trial *trial)
{
    for (size_t i = 0; i < trial->key_count; i++) {
        const struct trial_key *entry = &trial->keys[i];
        if (entry->late != NULL && entry->values[0].text == NULL &&
            !trial->may_lack_late) {
            trial_complain(
                trial, "'%s' never got '%s'", entry->key, entry->late);
        }
    }
}

void trial_expect(struct trial *trial, const char *key, const char *value)
{
    trial_expect_until(trial, key, value, KVSTORE_EXPIRES_NEVER);
}

static bool is_same_text(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one == other
                                        : strcmp(one, other) == 0;
}

void trial_allow(struct trial *trial,
                 const char *key,
                 const char *value,
                 int64_t expires_ms)
{
    struct trial_key *entry = trial_find(trial, key);
    for (size_t i = 0; i < entry->value_count; i++) {
        if (is_same_text(entry->values[i].text, value) &&
            entry->values[i].expires_ms == expires_ms) {
            return;
        }
    }
    if (entry->value_count == TRIAL_VALUES_MAX) {
        scratch_die("too many values in a trial");
    }
    entry->values[entry->value_count++] =
        (struct trial_value){.text = value, .expires_ms = expires_ms};
}

#define ANY_TIME (-1)

void trial_see_until(struct trial *trial,
                     const char *key,
                     const char *value,
                     int64_t expires_ms)
{
    struct trial_key *entry = trial_find(trial, key);
    size_t kept = 0;
    for (size_t i = 0; i < entry->value_count; i++) {
        const struct trial_value allowed = entry->values[i];
        if (is_same_text(allowed.text, value) &&
            (expires_ms == ANY_TIME || expires_ms == allowed.expires_ms)) {
            entry->values[kept++] = allowed;
        }
    }
    if (kept > 0) {
        entry->value_count = kept;
        if (entry->late != NULL && value == NULL) {
            trial_expect_late(trial, key, entry->late);
        }
        return;
    }
    const struct trial_value first = entry->values[0];
    trial_complain(trial,
                   "'%s' is '%.20s', not '%.20s', until %lld, not %lld",
                   key,
                   value == NULL ? "(none)" : value,
                   first.text == NULL ? "(none)" : first.text,
                   (long long)expires_ms,
                   (long long)first.expires_ms);
}

void trial_see(struct trial *trial, const char *key, const char *value)
{
    trial_see_until(trial, key, value, ANY_TIME);
}

bool trial_may_be(const struct trial_key *key, bool is_there)
{
    for (size_t i = 0; i < key->value_count; i++) {
        if ((key->values[i].text != NULL) == is_there) {
            return true;
        }
    }
    return false;
}

/* --- How a call ended --- */

static uint64_t lacks_of_memory(void)
{
    return fault_table_fired_at(FAULT_MALLOC) +
           fault_table_fired_at(FAULT_CJSON_MALLOC);
}

struct trial_before trial_begin_call(void)
{
    fault_table_forget_errors();
    return (struct trial_before){.fired = fault_table_fired(),
                                 .no_memory = lacks_of_memory()};
}

static bool is_failure(kvstore_status status)
{
    return status != KVSTORE_OK && status != KVSTORE_NOT_FOUND &&
           status != KVSTORE_CONFLICT;
}

static bool has_effect(const struct trial *trial, enum fault_effect effect)
{
    const struct trial_plan *plan = &trial->plan;
    return (plan->kind != NULL && plan->kind->effect == effect) ||
           (plan->second != NULL && plan->second->effect == effect);
}

/* True if writes may be refused because of a sync that failed earlier. */
static bool may_be_refused(const struct trial *trial)
{
    return trial->is_sync_lost || trial->may_refuse ||
           fault_table_fired_at(FAULT_FSYNC) > 0;
}

/* Checks that the error names the fault that was met. */
static void check_reason(struct trial *trial,
                         const char *call,
                         kvstore_status status,
                         bool lacked_memory)
{
    const kvstore_error *error = kvstore_last_error();
    bool is_refusal =
        (may_be_refused(trial) || fault_table_fired_at(FAULT_FDATASYNC) > 0) &&
        status == KVSTORE_IO && strstr(error->message, "a sync of") != NULL;
    bool is_lack = status == KVSTORE_NO_MEMORY && lacked_memory;
    bool is_failed_call =
        (status == KVSTORE_IO || status == KVSTORE_COMPACTION_FAILED) &&
        fault_table_has_given(error->system_errno);
    /* What was done but reported as failed shows later, as something else. */
    bool is_consequence = has_effect(trial, FAULT_DONE) &&
                          (status == KVSTORE_IO || status == KVSTORE_BUSY ||
                           status == KVSTORE_COMPACTION_FAILED);
    if (!is_lack && !is_failed_call && !is_consequence && !is_refusal) {
        trial_complain(trial,
                       "%s gave %d, errno %d: %s",
                       call,
                       (int)status,
                       error->system_errno,
                       error->message);
    }
}

static void check_failure(struct trial *trial,
                          enum trial_sort sort,
                          const char *call,
                          struct trial_before before,
                          kvstore_status status)
{
    const kvstore_error *error = kvstore_last_error();
    if (error->status != status || error->message[0] == '\0') {
        trial_complain(trial, "%s failed and set no error", call);
    }
    if (fault_table_fired() != before.fired) {
        check_reason(
            trial, call, status, lacks_of_memory() != before.no_memory);
    } else if (sort == TRIAL_READS || sort == TRIAL_COPIES ||
               !may_be_refused(trial)) {
        trial_complain(trial,
                       "%s failed by itself: %d, %s",
                       call,
                       (int)status,
                       error->message);
    }
}

static bool may_open_again(const struct trial *trial)
{
    return (trial->workload->marks & TRIAL_OPENS_AGAIN) != 0;
}

/* True if an fdatasync has failed since the last look. */
static bool has_met_failed_sync(struct trial *trial)
{
    uint64_t fired = fault_table_fired_at(FAULT_FDATASYNC);
    bool has_met = fired != trial->syncs_fired;
    trial->syncs_fired = fired;
    return has_met;
}

bool trial_end_call(struct trial *trial,
                    enum trial_sort sort,
                    const char *call,
                    struct trial_before before,
                    kvstore_status status)
{
    bool is_failed = is_failure(status);
    if (is_failed) {
        check_failure(trial, sort, call, before, status);
    }
    if (has_met_failed_sync(trial)) {
        /* An open goes on for reading only, and the next write is refused; so
         * does a read of another log. */
        if (!is_failed && sort != TRIAL_OPENS &&
            !(sort == TRIAL_READS && may_open_again(trial))) {
            trial_complain(trial, "%s does not tell of a failed sync", call);
        }
        trial->is_sync_lost |= sort != TRIAL_COPIES;
        trial->may_refuse |= sort == TRIAL_COPIES;
    }
    fault_table_run_thread();
    trial->may_refuse |= has_met_failed_sync(trial);
    return !is_failed;
}
