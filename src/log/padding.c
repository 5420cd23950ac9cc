/* SPDX-License-Identifier: MIT */

/* Padding, and the lines that take its place. log/log.c makes room with it and
 * removes it; log/fold.c and log/mend.c recognise it by its bytes.
 *
 * Invariants:
 * 1. Where there is padding, the file is the lines up to tail->end and after
 *    them tabs up to its last byte, a newline, at tail->padded_end. It has at
 *    least KV_LOG_PADDING_MIN bytes. Only between a write over padding and
 *    kv_log_padding_take() does tail->end lag.
 * 2. All of the padding is in the window, if the tail is mapped, and was
 *    written before it is touched there.
 * 3. In the window a line appears back to front in one respect: its second byte
 *    is stored first, and its first one last. So what a killed writer leaves
 *    begins with a tab and that second byte: it is not a record, nor any other
 *    line that kvstore would keep.
 * 4. Only the holder of the writers' lock has padding. It is cut off before the
 *    lock is released; after a killed writer, by the next one. */

#include "log/padding.h"

#include "os/bounds.h"
#include "os/error.h"
#include "os/map.h"
#include "os/system.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

/* More than this is written by system calls, which cost little beside so many
 * bytes. */
#define PUT_SIZE_MAX KV_PADDING_UNIT

/* How much is mapped at once: so much that mapping costs nothing per line.
 * Mapping and unmapping wait for any process that goes through the mappings of
 * the log, which has been seen to take seconds on a busy machine: they must be
 * rare. */
#define MAPPED_SIZE ((size_t)(sizeof(void *) < 8 ? 4 : 64) << 20)

/* The tail pays for a writer of many lines only. */
#ifndef KV_WRITES_BEFORE_PADDING
#define KV_WRITES_BEFORE_PADDING 64u
#endif

static_assert(PUT_SIZE_MAX + KV_LOG_PADDING_MIN + KV_PADDING_UNIT <=
                  KV_LOG_PADDING_MAX,
              "the bound holds for all padding");
static_assert(MAPPED_SIZE >= KV_PADDING_UNIT + KV_LOG_PADDING_MAX,
              "a window holds the padding, wherever it begins");

struct kv_log_padding {
    uint64_t end;           /* Of the lines; if there is padding, */
    uint64_t padded_end;    /* which ends here. 0: there is none. */
    char *window;           /* MAPPED_SIZE bytes of the file from */
    uint64_t window_offset; /* here on; or NULL. */
    unsigned writes;        /* That the tail had no room for. */
    bool is_mapped;         /* Or else written. */
    bool is_looked_at;      /* It is known whether */
    bool is_refused;        /* the file system is unsuitable. */
    char tabs[KV_LOG_PADDING_MAX];
};

struct kv_log_padding *kv_log_padding_create(bool is_mapped)
{
    kv_error_hold();
    struct kv_log_padding *tail = kv_io_allocate(sizeof *tail);
    if (tail != NULL) {
        memset(tail, 0, offsetof(struct kv_log_padding, tabs));
        tail->is_mapped = is_mapped;
    }
    kv_error_release();
    return tail;
}

void kv_log_padding_free(struct kv_log_padding *tail)
{
    if (tail != NULL) {
        kv_io_unmap(tail->window, MAPPED_SIZE);
        kv_io_free(tail);
    }
}

/* --- What padding is --- */

bool kv_log_padding_is_padded(const struct kv_log_padding *tail)
{
    return tail != NULL && tail->padded_end != 0;
}

uint64_t kv_log_padding_file_size(const struct kv_log_padding *tail,
                                  uint64_t end)
{
    return kv_log_padding_is_padded(tail) ? tail->padded_end : end;
}

static bool are_tabs(const char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == KV_LOG_PADDING_BYTE &&
                         memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* True if padding may end, with a newline, at the end of a file of this
 * size. */
static bool may_end_at(uint64_t size)
{
    return size % KV_PADDING_UNIT == 0;
}

bool kv_log_padding_is_padding(const char *bytes, size_t size, uint64_t offset)
{
    if (size < KV_LOG_PADDING_MIN || size > KV_LOG_PADDING_MAX) {
        return false;
    }
    bool has_newline = bytes[size - 1] == '\n';
    return (!has_newline || may_end_at(offset + size)) &&
           are_tabs(bytes, size - (has_newline ? 1 : 0));
}

kvstore_status kv_log_padding_find(const struct kv_io_file *file,
                                   uint64_t offset,
                                   uint64_t size,
                                   bool *is_padding_out)
{
    char bytes[4096];
    bool is_padding = offset + KV_LOG_PADDING_MIN <= size &&
                      size - offset <= KV_LOG_PADDING_MAX;
    kvstore_status status = KVSTORE_OK;
    while (is_padding && offset < size) {
        uint64_t left = size - offset;
        size_t wanted = left < sizeof bytes ? (size_t)left : sizeof bytes;
        size_t part = 0;
        status = kv_io_read(file, offset, bytes, wanted, &part);
        bool has_newline = part > 0 && part == left &&
                           bytes[part - 1] == '\n' && may_end_at(size);
        is_padding = status == KVSTORE_OK && part == wanted &&
                     are_tabs(bytes, part - (has_newline ? 1 : 0));
        offset += part;
    }
    *is_padding_out = is_padding;
    return status;
}

/* Returns how many of these bytes, the last of a log or those before some of
 * its padding, are left without the tabs at their end. */
static size_t without_tabs(const char *bytes, size_t size)
{
    while (size > 0 && bytes[size - 1] == KV_LOG_PADDING_BYTE) {
        size--;
    }
    return size;
}

/* Moves back to the end of a line: of one in front of padding, that is not all
 * there, the rest may follow, or a writer has died over it. */
static kvstore_status find_line_end_before(const struct kv_io_file *file,
                                           uint64_t *end)
{
    char bytes[4096];
    size_t left = 0;
    while (left == 0 && *end > 0) {
        size_t wanted = *end < sizeof bytes ? (size_t)*end : sizeof bytes;
        size_t count = 0;
        kvstore_status status =
            kv_io_read(file, *end - wanted, bytes, wanted, &count);
        if (status != KVSTORE_OK || count < wanted) {
            return status; /* It has been cut meanwhile. */
        }
        left = wanted;
        while (left > 0 && bytes[left - 1] != '\n' && bytes[left - 1] != '\0') {
            left--;
        }
        *end -= wanted - left;
    }
    return KVSTORE_OK;
}

kvstore_status kv_log_padding_find_end(const struct kv_io_file *file,
                                       uint64_t size,
                                       uint64_t *end_out)
{
    char bytes[4096];
    uint64_t lowest =
        size <= KV_LOG_PADDING_MAX ? 0 : size - KV_LOG_PADDING_MAX - 1;
    uint64_t end = size;
    size_t count = 0;
    *end_out = size;
    while (count == 0 && end > lowest) {
        size_t wanted =
            end - lowest < sizeof bytes ? (size_t)(end - lowest) : sizeof bytes;
        kvstore_status status =
            kv_io_read(file, end - wanted, bytes, wanted, &count);
        if (status != KVSTORE_OK) {
            return status;
        }
        if (count < wanted) {
            return KVSTORE_OK; /* It has been cut meanwhile. */
        }
        bool has_newline = end == size && count > 1 && may_end_at(size) &&
                           bytes[count - 1] == '\n' &&
                           bytes[count - 2] == KV_LOG_PADDING_BYTE;
        count = without_tabs(bytes, count - (has_newline ? 1 : 0));
        end -= wanted - count;
    }
    bool is_padding =
        size - end >= KV_LOG_PADDING_MIN && (count > 0 || end == 0);
    if (!is_padding) {
        return KVSTORE_OK;
    }
    *end_out = end;
    return find_line_end_before(file, end_out);
}

/* --- Padding --- */

/* Fails with KVSTORE_BUSY if another process has appended. */
static kvstore_status check_padded_end(const struct kv_log_padding *tail,
                                       const struct kv_io_file *file)
{
    uint64_t size = 0;
    kvstore_status status = kv_io_end(file, &size);
    return status == KVSTORE_OK && size != tail->padded_end
               ? kv_fail(KVSTORE_BUSY,
                         "busy: a process that does not take the lock appends "
                         "to %s",
                         file->name)
               : status;
}

/* If this fails, white space stays past the end: the next process that checks
 * finds the file too long, and cuts it or learns why it cannot. */
static void cut_padding(struct kv_log_padding *tail,
                        const struct kv_io_file *file)
{
    tail->padded_end = 0;
    (void)kv_io_truncate(file, tail->end);
}

void kv_log_padding_trim(struct kv_log_padding *tail,
                         const struct kv_io_file *file)
{
    kv_error_hold();
    if (kv_log_padding_is_padded(tail) &&
        check_padded_end(tail, file) == KVSTORE_OK) {
        cut_padding(tail, file);
    }
    kv_error_release();
}

/* Moves the window to where the lines end, if the padding goes past it. */
static kvstore_status map_window(struct kv_log_padding *tail,
                                 const struct kv_io_file *file,
                                 uint64_t padded_end)
{
    if (tail->window != NULL && tail->end >= tail->window_offset &&
        padded_end <= tail->window_offset + MAPPED_SIZE) {
        return KVSTORE_OK;
    }
    void *memory = NULL;
    kv_io_unmap(tail->window, MAPPED_SIZE);
    tail->window = NULL;
    tail->window_offset = tail->end - tail->end % KV_PADDING_UNIT;
    kvstore_status status =
        kv_io_map(file, tail->window_offset, MAPPED_SIZE, true, &memory);
    tail->window = memory;
    return status;
}

/* Writes tabs from the end of the lines on, and the newline: with one call, so
 * that the page cache takes whole units, at a third of the cost of single
 * pages. */
static kvstore_status write_padding(struct kv_log_padding *tail,
                                    const struct kv_io_file *file,
                                    uint64_t padded_end)
{
    assert(padded_end - tail->end <= sizeof tail->tabs);
    size_t size = (size_t)(padded_end - tail->end);
    tail->tabs[size - 1] = '\n';
    kvstore_status status = kv_io_write(file, tail->end, tail->tabs, size);
    tail->tabs[size - 1] = KV_LOG_PADDING_BYTE;
    return status;
}

/* Pads the file so that size bytes fit, and more. */
static bool pad(struct kv_log_padding *tail,
                const struct kv_io_file *file,
                size_t size)
{
    uint64_t least = tail->end + size + KV_LOG_PADDING_MIN;
    uint64_t padded_end =
        (least + KV_PADDING_UNIT - 1) / KV_PADDING_UNIT * KV_PADDING_UNIT;
    if (padded_end > KV_OFFSET_MAX) {
        return false;
    }
    kv_error_hold();
    kvstore_status status =
        tail->is_mapped ? map_window(tail, file, padded_end) : KVSTORE_OK;
    if (status == KVSTORE_OK) {
        status = write_padding(tail, file, padded_end);
    }
    tail->padded_end = padded_end;
    if (status != KVSTORE_OK) {
        cut_padding(tail, file);
        tail->writes = 0;
    }
    kv_error_release();
    return status == KVSTORE_OK;
}

/* --- Lines --- */

/* True if this is a writer of many lines, on a file system whose mappings take
 * them. */
static bool pays(struct kv_log_padding *tail, const struct kv_io_file *file)
{
    if (tail->writes < KV_WRITES_BEFORE_PADDING) {
        tail->writes++;
        return false;
    }
    if (!tail->is_looked_at) {
        tail->is_looked_at = true;
        tail->is_refused = !kv_io_takes_mapped_writes(file);
        memset(tail->tabs, KV_LOG_PADDING_BYTE, sizeof tail->tabs);
    }
    return !tail->is_refused;
}

kvstore_status kv_log_padding_make_room(struct kv_log_padding *tail,
                                        const struct kv_io_file *file,
                                        uint64_t end,
                                        size_t size,
                                        bool *has_room_out)
{
    *has_room_out = false;
    if (tail == NULL) {
        return KVSTORE_OK;
    }
    bool is_padded = kv_log_padding_is_padded(tail);
    assert(!is_padded || tail->end == end);
    *has_room_out = is_padded && size <= PUT_SIZE_MAX &&
                    end + size + KV_LOG_PADDING_MIN <= tail->padded_end;
    if (*has_room_out) {
        return KVSTORE_OK;
    }
    kvstore_status status =
        is_padded ? check_padded_end(tail, file) : KVSTORE_OK;
    if (status != KVSTORE_OK) {
        return status;
    }
    tail->end = end;
    *has_room_out =
        size <= PUT_SIZE_MAX && pays(tail, file) && pad(tail, file, size);
    if (!*has_room_out && kv_log_padding_is_padded(tail)) {
        status = check_padded_end(tail, file);
        if (status == KVSTORE_OK) {
            kv_error_hold();
            cut_padding(tail, file);
            kv_error_release();
        }
    }
    return status;
}

bool kv_log_padding_has_room(const struct kv_log_padding *tail, size_t size)
{
    return kv_log_padding_is_padded(tail) && tail->is_mapped &&
           size <= PUT_SIZE_MAX &&
           tail->end + size + KV_LOG_PADDING_MIN <= tail->padded_end;
}

bool kv_log_padding_is_mapped(const struct kv_log_padding *tail)
{
    assert(tail != NULL);
    return tail->is_mapped;
}

void kv_log_padding_put(struct kv_log_padding *tail,
                        const char *line,
                        size_t size)
{
    assert(tail->is_mapped);
    assert(size >= 2 && tail->end + size < tail->padded_end);
    char *place = tail->window + (tail->end - tail->window_offset);
    assert(place[0] == KV_LOG_PADDING_BYTE);
    ((volatile char *)place)[1] = line[1];
    /* The processor keeps this thread's stores in order for a process that
     * comes after its death; so must the compiler. */
    atomic_signal_fence(memory_order_seq_cst);
    kv_io_step("tail begun");
    memcpy(place + 2, line + 2, size - 2);
    kv_io_step("tail copied");
    atomic_thread_fence(memory_order_release);
    ((volatile char *)place)[0] = line[0];
    atomic_signal_fence(memory_order_seq_cst);
    tail->end += size;
}

void kv_log_padding_take(struct kv_log_padding *tail, size_t size)
{
    assert(!tail->is_mapped && tail->end + size < tail->padded_end);
    tail->end += size;
}

void kv_log_padding_cut(struct kv_log_padding *tail,
                        const struct kv_io_file *file,
                        uint64_t end)
{
    kv_error_hold();
    if (tail != NULL) {
        tail->padded_end = 0;
    }
    (void)kv_io_truncate(file, end);
    kv_error_release();
}
