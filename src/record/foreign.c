/* SPDX-License-Identifier: MIT */

/* Lines that other programs wrote or people edited: members in any order, any
 * white space, any escapes, unknown members. cJSON parses them, with these
 * precautions:
 *
 * - It gets a private copy, which record/copy.c has checked and prepared: that
 *   is strict JSON, and holds nothing that some release of cJSON cannot parse.
 *   So it fails for one reason only, a lack of memory.
 * - It keeps the first of two members with one name; here they are damage.
 * - Its parser notes its last error in memory that all threads share; so parses
 *   take turns, and that note is never read. A fork takes its turn, too: else
 *   the child of a process whose other thread was parsing would wait for it
 *   forever. */

#include "record/foreign.h"

#include "os/bounds.h"
#include "os/error.h"
#include "os/system.h"
#include "record/copy.h"
#include "record/sum.h"
#include "record/text.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t parser_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_result;

static void take_turn(void)
{
    (void)pthread_mutex_lock(&parser_mutex);
}

static void end_turn(void)
{
    (void)pthread_mutex_unlock(&parser_mutex);
}

static void watch_for_fork(void)
{
    fork_result = pthread_atfork(take_turn, end_turn, end_turn);
}

/* Parses a prepared copy. */
static kvstore_status parse_fenced(const char *line,
                                   size_t size,
                                   cJSON **root_out)
{
    (void)pthread_once(&fork_once, watch_for_fork);
    if (fork_result != 0) {
        return kv_fail_errno(
            KVSTORE_NO_MEMORY, fork_result, "cannot watch for fork");
    }
    take_turn();
    *root_out = cJSON_ParseWithLengthOpts(line, size, NULL, 0);
    end_turn();
    if (*root_out == NULL) {
        return kv_fail(KVSTORE_NO_MEMORY,
                       "out of memory for parsing a line of %zu bytes",
                       size);
    }
    return KVSTORE_OK;
}

static int compare_names(const void *left, const void *right)
{
    const char *const *left_name = left;
    const char *const *right_name = right;
    return strcmp(*left_name, *right_name);
}

/* Finds out whether no two members of the object have the same name. */
static kvstore_status check_member_names(const cJSON *object,
                                         bool *are_unique_out)
{
    size_t count = 0;
    const cJSON *member = NULL;
    *are_unique_out = true;
    cJSON_ArrayForEach(member, object)
    {
        count++;
    }
    if (count < 2) {
        return KVSTORE_OK;
    }
    const char **names = kv_io_allocate(count * sizeof *names);
    if (names == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    size_t i = 0;
    cJSON_ArrayForEach(member, object)
    {
        names[i++] = member->string;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (i = 1; i < count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            *are_unique_out = false;
        }
    }
    kv_io_free(names);
    return KVSTORE_OK;
}

static const cJSON *get_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Reads a text that is in exactly one of two members. */
static bool read_text(const cJSON *plain,
                      const cJSON *base64,
                      struct kv_text *text_out)
{
    const cJSON *member = plain != NULL ? plain : base64;
    if ((plain != NULL && base64 != NULL) || !cJSON_IsString(member)) {
        return false;
    }
    size_t size = strlen(member->valuestring);
    if (base64 != NULL) {
        return kv_text_from_base64(member->valuestring, size, text_out);
    }
    *text_out = kv_text_plain(member->valuestring, size);
    return true;
}

static bool read_key(const cJSON *variant, struct kv_record *record)
{
    record->has_key = read_text(
        get_member(variant, "key"), get_member(variant, "key64"), &record->key);
    return record->has_key;
}

static bool read_value(const cJSON *variant, struct kv_text *value_out)
{
    const cJSON *val = get_member(variant, "val");
    const cJSON *value = get_member(variant, "value");
    if (val != NULL && value != NULL) {
        return false;
    }
    return read_text(
        val != NULL ? val : value, get_member(variant, "val64"), value_out);
}

/* Reads a member that is a whole number from 1 to a maximum; 0 if there is no
 * such member. False if it is anything else. */
static bool read_count(const cJSON *variant,
                       const char *name,
                       int64_t most,
                       int64_t *number_out)
{
    const cJSON *member = get_member(variant, name);
    *number_out = 0;
    if (member == NULL) {
        return true;
    }
    if (!cJSON_IsNumber(member) || !(member->valuedouble >= 1) ||
        !(member->valuedouble <= (double)most)) {
        return false;
    }
    *number_out = (int64_t)member->valuedouble;
    return (double)*number_out == member->valuedouble;
}

static bool read_batch(const cJSON *variant, uint32_t *batch_out)
{
    int64_t batch = 0;
    bool is_sound = read_count(variant, "batch", UINT32_MAX, &batch);
    *batch_out = is_sound ? (uint32_t)batch : 0;
    return is_sound;
}

/* True unless the variant's object has a sum that is unsound. A sum must be the
 * last thing in the line, in the one place and form in which it can be
 * verified, and match. If the variant is the last member of the line and the
 * sum is the last member of the variant, has_fitting_sum is about that sum. */
static bool is_sum_sound(const cJSON *variant, bool has_fitting_sum)
{
    const cJSON *sum = get_member(variant, "sum");
    return sum == NULL ||
           (has_fitting_sum && sum->next == NULL && variant->next == NULL);
}

/* Reads what Set and Remove hold. The record stays damaged unless all of it is
 * sound, but may get a key. */
static kvstore_status read_known(const cJSON *variant,
                                 enum kv_record_type type,
                                 bool has_fitting_sum,
                                 struct kv_record *record)
{
    bool are_unique = false;
    if (!cJSON_IsObject(variant)) {
        return KVSTORE_OK;
    }
    kvstore_status status = check_member_names(variant, &are_unique);
    if (status != KVSTORE_OK || !are_unique) {
        return status;
    }
    bool has_key = read_key(variant, record);
    if (!is_sum_sound(variant, has_fitting_sum)) {
        record->damage = KVSTORE_CORRUPT;
        return KVSTORE_OK;
    }
    uint32_t batch = 0;
    int64_t expires_ms = 0;
    if (!has_key || !read_batch(variant, &batch)) {
        return KVSTORE_OK;
    }
    if (type == KV_RECORD_SET &&
        (!read_value(variant, &record->value) ||
         !read_count(variant, "expires", KV_EXPIRES_MS_MAX, &expires_ms))) {
        return KVSTORE_OK;
    }
    record->type = type;
    record->expires_ms = expires_ms;
    record->batch = batch;
    record->damage = KVSTORE_OK;
    return KVSTORE_OK;
}

/* Reads a variant that is not known here. A newer version writes a sum: it is
 * the last member of the last member, which is its variant, and matches.
 * Without that, the line is an error. Any object may hold the key, and the
 * first that does counts; so all of them have to be sound. */
static kvstore_status read_unknown(const cJSON *root,
                                   bool has_fitting_sum,
                                   struct kv_record *record)
{
    const cJSON *variant = NULL;
    const cJSON *member = NULL;
    const cJSON *sum = NULL;
    bool has_sum = false;
    cJSON_ArrayForEach(member, root)
    {
        bool are_unique = false;
        if (!cJSON_IsObject(member)) {
            continue;
        }
        kvstore_status status = check_member_names(member, &are_unique);
        if (status != KVSTORE_OK || !are_unique) {
            return status;
        }
        if (!record->has_key) {
            read_key(member, record);
        }
        variant = member;
        sum = get_member(member, "sum");
        has_sum = has_sum || sum != NULL;
    }
    if (has_fitting_sum && sum != NULL && sum->next == NULL &&
        variant->next == NULL) {
        record->type = KV_RECORD_UNKNOWN;
        (void)read_batch(variant, &record->batch);
        record->damage = KVSTORE_OK;
    } else if (has_sum) {
        record->damage = KVSTORE_CORRUPT;
    }
    return KVSTORE_OK;
}

static kvstore_status read_record(const cJSON *root,
                                  bool has_fitting_sum,
                                  struct kv_record *record)
{
    bool are_unique = false;
    assert(!record->has_key && record->damage == KVSTORE_BAD_JSON);
    if (!cJSON_IsObject(root)) {
        return KVSTORE_OK;
    }
    kvstore_status status = check_member_names(root, &are_unique);
    if (status != KVSTORE_OK || !are_unique) {
        return status;
    }
    const cJSON *set = get_member(root, "Set");
    const cJSON *remove = get_member(root, "Remove");
    if (set != NULL && remove != NULL) {
        return KVSTORE_OK;
    }
    if (set != NULL) {
        return read_known(set, KV_RECORD_SET, has_fitting_sum, record);
    }
    if (remove != NULL) {
        return read_known(remove, KV_RECORD_REMOVE, has_fitting_sum, record);
    }
    return read_unknown(root, has_fitting_sum, record);
}

/* Writes a text to the record's own memory. */
static struct kv_text own_text(const struct kv_text *text,
                               size_t size,
                               const struct kv_record_copy *copy,
                               char *memory)
{
    bool is_decoded =
        size == 0 || kv_text_decode(text, memory); /* Of memory of our own. */
    assert(is_decoded);
    (void)is_decoded;
    if (text->form == KV_TEXT_PLAIN) { /* Base64 has no NULs to restore. */
        size = kv_record_copy_restore(copy, memory, size);
    }
    return kv_text_plain(memory, size);
}

/* Moves the texts from cJSON's memory to the record's own. */
static kvstore_status own_texts(struct kv_record *record,
                                const struct kv_record_copy *copy)
{
    size_t key_size = record->has_key ? record->key.size : 0;
    size_t value_size = record->type == KV_RECORD_SET ? record->value.size : 0;
    assert(record->owned == NULL);
    if (key_size + value_size > 0) {
        record->owned = kv_io_allocate(key_size + value_size);
        if (record->owned == NULL) {
            return KVSTORE_NO_MEMORY;
        }
    }
    char *key = record->owned;
    char *value = key_size == 0 ? key : key + key_size;
    record->key = own_text(&record->key, key_size, copy, key);
    record->value = own_text(&record->value, value_size, copy, value);
    return KVSTORE_OK;
}

kvstore_status kv_record_decode_foreign(char *line,
                                        size_t size,
                                        struct kv_record *record)
{
    assert(line != NULL && record != NULL);
    assert(record->type == KV_RECORD_DAMAGED && record->owned == NULL);
    cJSON *root = NULL;
    const char *end = line + size;
    end -= size > 0 && end[-1] == '\r' ? 1 : 0;
    bool has_fitting_sum = kv_record_has_fitting_sum(line, end);
    struct kv_record_copy copy;
    if (!kv_record_copy_prepare(line, size, &copy)) {
        return KVSTORE_OK;
    }
    kvstore_status status = parse_fenced(line, size, &root);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = read_record(root, has_fitting_sum, record);
    if (status == KVSTORE_OK) {
        status = own_texts(record, &copy);
    }
    cJSON_Delete(root);
    return status;
}
