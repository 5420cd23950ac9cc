/* SPDX-License-Identifier: MIT */

/* Which lines are of no interest, at the speed of memory: the first bytes of a
 * line are compared, its newline is searched for, and its last bytes are
 * compared.
 *
 * A line that begins {"Set":{"key":"abc has a key that begins with abc, or is
 * damage that tells such a key or none, whatever comes after that: two members
 * of one name are damage. */

#include "log/skip.h"

#include "record/names.h"
#include "record/scan.h"
#include "record/sum.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define SET_KEY_HEAD SET_HEAD KEY_NAME
#define REMOVE_KEY_HEAD REMOVE_HEAD KEY_NAME

struct kv_log_skip kv_log_skip_for(const void *prefix, size_t size)
{
    const char *bytes = prefix;
    size_t plain = 0;
    while (plain < size && (unsigned char)bytes[plain] >= 0x20 &&
           bytes[plain] != '"' && bytes[plain] != '\\') {
        plain++;
    }
    return (struct kv_log_skip){.prefix = bytes, .size = plain};
}

/* Returns where the key of a line begins that starts like a canonical one; or
 * NULL. */
static inline const char *find_line_key(const char *line, size_t size)
{
    if (size >= sizeof(SET_KEY_HEAD) &&
        memcmp(line, LITERAL(SET_KEY_HEAD)) == 0) {
        return line + sizeof(SET_KEY_HEAD) - 1;
    }
    if (size >= sizeof(REMOVE_KEY_HEAD) &&
        memcmp(line, LITERAL(REMOVE_KEY_HEAD)) == 0) {
        return line + sizeof(REMOVE_KEY_HEAD) - 1;
    }
    return NULL;
}

/* True if a key that begins there, as a line has it, cannot have the prefix: a
 * byte differs, and is no escape. A quote is the end of a shorter key. */
static inline bool is_other_key(const struct kv_log_skip *skip,
                                const char *key,
                                const char *end)
{
    size_t i = 0;
    size_t size = (size_t)(end - key);
    size = size < skip->size ? size : skip->size;
    while (i < size && key[i] == skip->prefix[i]) {
        i++;
    }
    return i < size && key[i] != '\\';
}

/* True if a line's last member before the sum, if it has one, is a string or
 * the time of expiry: where our own lines say that they are of a batch, there is
 * another number. */
static inline bool ends_unbatched(const char *line, const char *end)
{
    size_t tail = kv_record_has_sum_tail(line, end) ? KV_RECORD_SUM_TAIL_SIZE
                                                    : sizeof(TAIL) - 1;
    if ((size_t)(end - line) <= tail ||
        memcmp(end - (sizeof(TAIL) - 1), LITERAL(TAIL)) != 0) {
        return false;
    }
    const char *last = end - tail;
    if (last[-1] == '"') {
        return true;
    }
    while (last > line && last[-1] >= '0' && last[-1] <= '9') {
        last--;
    }
    size_t name_size = sizeof(EXPIRES_NAME) - 1;
    return (size_t)(last - line) > name_size &&
           memcmp(last - name_size, LITERAL(EXPIRES_NAME)) == 0;
}

size_t kv_log_skip_lines(const struct kv_log_skip *skip,
                         const char *bytes,
                         size_t size,
                         size_t *last_out)
{
    assert(skip->size > 0 && bytes != NULL);
    const char *line = bytes;
    const char *end = bytes + size;
    for (;;) {
        const char *key = find_line_key(line, (size_t)(end - line));
        if (key == NULL || !is_other_key(skip, key, end)) {
            break;
        }
        const char *line_end = kv_scan_line_end(key, end);
        if (line_end == end || *line_end != '\n' ||
            !ends_unbatched(line, line_end)) {
            break;
        }
        *last_out = (size_t)(line - bytes);
        line = line_end + 1;
    }
    return (size_t)(line - bytes);
}
