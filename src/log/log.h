/* SPDX-License-Identifier: MIT */

/* The append-only file of lines: opened, appended to, and read line by line.
 * Knows bytes and newlines, not JSON. What padding is and how a line takes its
 * place is private to log/: other folders ask here how far the lines go. */

#ifndef KV_LOG_LOG_H
#define KV_LOG_LOG_H

#include "kvstore.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_LOG_NAME "store.log"
#define KV_LOG_COMPACT_NAME "store.log.compact"

struct kv_log {
    struct kv_io_file file;
    uint64_t device;
    uint64_t inode;
    uint64_t names;              /* Hard links, when it was opened. */
    uint64_t size_limit;         /* On files of this process, as asked for a
                                    moment ago; 0: ask at each append. */
    struct kv_log_map *map;      /* NULL: lines are read by system calls. */
    struct kv_log_padding *tail; /* NULL: no line is appended over padding. */
};
#define KV_LOG_NONE ((struct kv_log){.file = KV_IO_FILE_NONE})

/* Opens the log of a directory. Where there is none: KVSTORE_NOT_FOUND,
 * without an error set. */
kvstore_status kv_log_open(const struct kv_io_file *directory,
                           bool is_writable,
                           struct kv_log *log_out);

/* Creates an empty log, open to the same users as its directory, and makes it
 * and its directory entry durable; or opens one that appeared meanwhile, whose
 * owner and mode it leaves as they are. */
kvstore_status kv_log_create(const struct kv_io_file *directory,
                             struct kv_log *log_out);

void kv_log_close(struct kv_log *log);

/* From now on, a caller that reads many single lines finds them in memory. For
 * a log that no process cuts short before the end that kv_log_read_line() is
 * given. */
void kv_log_map(struct kv_log *log);

/* From now on, many lines are appended over padding: copied to a mapping of it,
 * or written. For a writer that keeps all others out as long as the log is
 * open; one that syncs what it appends maps nothing. */
void kv_log_open_tail(struct kv_log *log, bool is_mapped);

/* What the log's name leads to. */
struct kv_log_place {
    bool is_current; /* To the log; only then does the rest hold: */
    uint64_t size;
    uint64_t names;      /* Hard links. */
    uint64_t size_limit; /* On files of this process. */
};

/* Looks the log up by name. KVSTORE_IO with ENOENT where there is none. */
kvstore_status kv_log_look(const struct kv_log *log,
                           const struct kv_io_file *directory,
                           struct kv_log_place *place_out);

/* --- The end --- */

/* A line to be appended: at least two bytes, of which only the last one is a
 * newline. */
struct kv_log_bytes {
    const char *bytes;
    size_t size;
};

/* Several lines of at most this many bytes in all are written with one call. */
#define KV_LOG_JOINED_SIZE_MAX ((size_t)256 << 10)

/* Appends lines to a log whose last line ends at an offset. Nothing is synced.
 * After a failure none of them is there, unless what was written of them cannot
 * be cut off again; then the file is larger than kv_log_size_at() says.
 * KVSTORE_BUSY: another program has appended past the padding.
 * KVSTORE_TOO_LARGE: the log would grow past KV_OFFSET_MAX. */
kvstore_status kv_log_append(struct kv_log *log,
                             uint64_t end,
                             const struct kv_log_bytes *lines,
                             size_t count);

/* True if a line of this size has room in mapped padding. Then kv_log_put()
 * appends it, as kv_log_append() would, and nothing can fail. */
bool kv_log_has_mapped_room(const struct kv_log *log, size_t size);
void kv_log_put(struct kv_log *log, const char *line, size_t size);

/* Cuts off all that is past an offset where a line ends, padding included, if
 * that can be done: lines that were appended and cannot be acknowledged. The
 * last error stays. */
void kv_log_cut(struct kv_log *log, uint64_t end);

/* Cuts off the padding of this writer, if no other process has appended and
 * that can be done. The last error stays. */
void kv_log_trim(struct kv_log *log);

/* True if there is padding of this writer past the last line: then no other
 * process has been the writer since it appended. */
bool kv_log_is_padded(const struct kv_log *log);

/* Returns the size of the file whose last line ends at an offset, if no other
 * process has appended and nothing was left there. */
uint64_t kv_log_size_at(const struct kv_log *log, uint64_t end);

/* True unless a log of this size ends at an offset, or in padding that begins
 * there, of any writer, alive or dead. What is there may be a line, or become
 * one. */
kvstore_status kv_log_has_more(const struct kv_log *log,
                               uint64_t offset,
                               uint64_t size,
                               bool *has_more_out);

/* Finds how far a log of this size may be read without the writers' lock: up to
 * the last whole line before the padding, of any writer, that it ends in; or to its
 * end. */
kvstore_status kv_log_find_end(const struct kv_log *log,
                               uint64_t size,
                               uint64_t *end_out);

#endif
