/* SPDX-License-Identifier: MIT */

/* Records recoveries. */

#include "crash_recovery.h"

#include "kvstore.h"
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void crash_remains_add(struct crash_remains *remains,
                       const char *name,
                       const char *bytes,
                       size_t size)
{
    struct crash_file *file = &remains->files[remains->file_count++];
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    file->size = size;
    file->bytes = malloc(size + 1);
    if (file->bytes == NULL) {
        scratch_die("remains");
    }
    memcpy(file->bytes, bytes, size);
}

void crash_remains_free(struct crash_remains *remains)
{
    for (int i = 0; i < remains->file_count; i++) {
        free(remains->files[i].bytes);
    }
    free(remains);
}

/* Says of each key what it was promised. */
static void promise(struct crash_trace *trace,
                    const struct crash_trace *cut,
                    const struct crash_promises *promises)
{
    for (int i = 0; i < cut->key_count; i++) {
        crash_trace_expect(trace, cut->keys[i], promises->keys[i].values[0]);
        for (size_t j = 1; j < promises->keys[i].count; j++) {
            crash_trace_allow(trace, cut->keys[i], promises->keys[i].values[j]);
        }
    }
    for (int i = 0; i < cut->group_count; i++) {
        crash_trace_count(trace, cut->groups[i]);
    }
    trace->kept = cut->kept;
}

/* True if a log's last line may be whole but for its LF. Then it is read as it
 * is; but while the LF is written, a power cut may leave a NUL in its place, and
 * what was not acknowledged is gone again. */
static bool lacks_newline(const struct crash_remains *remains)
{
    for (int i = 0; i < remains->file_count; i++) {
        const struct crash_file *file = &remains->files[i];
        if (strcmp(file->name, "store.log") == 0 && file->size > 0) {
            return file->bytes[file->size - 1] != '\n';
        }
    }
    return false;
}

/* All of it is on the disk: what is read once stays. */
static void read_all(struct crash_trace *trace,
                     const kvstore *store,
                     const struct crash_remains *remains)
{
    const struct crash_promises *promises = &remains->promises;
    bool may_go = lacks_newline(remains);
    int count = trace->key_count;
    for (int i = 0; i < count; i++) {
        const char *key = trace->keys[i];
        const char *own = NULL;
        void *value = NULL;
        size_t size = 0;
        kvstore_status status =
            kvstore_get(store, key, strlen(key), &value, &size);
        bool is_answer = status == KVSTORE_OK || status == KVSTORE_NOT_FOUND;
        bool stays = !may_go || promises->keys[i].count == 1;
        if (is_answer && stays &&
            crash_promises_allow(promises, i, value, &own)) {
            crash_trace_expect(trace, key, own);
        }
        kvstore_free(value);
    }
}

struct crash_trace *crash_recovery_record(const struct crash_remains *remains,
                                          const struct crash_trace *cut,
                                          size_t *first_out,
                                          struct crash_result *result)
{
    kvstore *store = NULL;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    uint64_t number = ++result->recoveries;
    struct crash_trace *trace = crash_trace_begin_at(
        remains->files, remains->file_count, remains->has_directory);
    promise(trace, cut, &remains->promises);
    trace->lies = result->recovery_lies;
    *first_out = trace->event_count;
    options.exclusive = number % 3 == 0;
    if (kvstore_open(trace->path, &options, &store) == KVSTORE_OK) {
        read_all(trace, store, remains);
        (void)crash_trace_set(trace, store, "after", "1", true);
    }
    if (store != NULL && number % 16 == 0 &&
        kvstore_compact(store) != KVSTORE_OK) {
        crash_complain(result, 0, "compact:", kvstore_last_error()->message);
    }
    kvstore_close(store);
    crash_trace_end(trace);
    return trace;
}
