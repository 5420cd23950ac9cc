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
    struct kv_log_map *map;      /* NULL: lines are read by system calls. */
    struct kv_log_padding *tail; /* NULL: no line is appended over padding. */
};
#define KV_LOG_NONE ((struct kv_log){.file = KV_IO_FILE_NONE})

/* Opens the log of a directory. Where there is none: KVSTORE_NOT_FOUND,
 * without an error set. */
kvstore_status kv_log_open(const struct kv_io_file *directory,
                           bool is_writable,
                           struct kv_log *log_out);

/* Creates an empty log, as open as its directory, that is durable with its
 * directory entry; or opens the one that appeared meanwhile, and leaves owner
 * and mode of that as they are. */
kvstore_status kv_log_create(const struct kv_io_file *directory,
                             struct kv_log *log_out);

void kv_log_close(struct kv_log *log);

/* From now on, whoever reads many single lines finds them in memory. For a log
 * that nobody cuts short before the end which kv_log_read_line() is given. */
void kv_log_map(struct kv_log *log);
void kv_log_unmap(struct kv_log *log);

/* From now on, many lines are appended over padding: copied to a mapping of it,
 * or written. For the writer that keeps all others out as long as the log is
 * open; one that syncs what it appends has nothing mapped. */
void kv_log_open_tail(struct kv_log *log, bool is_mapped);

/* What is found where the log has its name. */
struct kv_log_place {
    bool is_current; /* The log is; only then the rest holds: */
    uint64_t size;
    uint64_t names; /* Hard links. */
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

/* Several lines of at most so many bytes in all are written with one call. */
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

/* Cuts off all that is past an offset where a line ends, padding included, if
 * that can be done: lines that were appended and cannot be acknowledged. The
 * last error stays. */
void kv_log_cut(struct kv_log *log, uint64_t end);

/* Cuts off the padding of this writer, if nobody else has appended and that can
 * be done. The last error stays. */
void kv_log_trim(struct kv_log *log);

/* True if there is padding of this writer past the last line: then nobody else
 * has been the writer since it appended. */
bool kv_log_is_padded(const struct kv_log *log);

/* The size of the file whose last line ends at an offset, if nobody else has
 * appended and nothing was left there. */
uint64_t kv_log_size_at(const struct kv_log *log, uint64_t end);

/* True unless a log of this size ends at an offset, or in padding that begins
 * there, of any writer, alive or dead. What is there may be a line, or become
 * one. */
kvstore_status kv_log_has_more(const struct kv_log *log,
                               uint64_t offset,
                               uint64_t size,
                               bool *has_more_out);

/* How far a log of this size may be read without the writers' lock: up to the
 * padding that it ends in, of any writer; or to its end. */
kvstore_status kv_log_find_end(const struct kv_log *log,
                               uint64_t size,
                               uint64_t *end_out);

/* --- One line --- */

/* A line read from the log. Short ones need no allocation. */
struct kv_log_line {
    const char *bytes; /* Without the newline. */
    size_t size;       /* Bytes of that. */
    uint64_t length;   /* In the log: the newline counted, also where the last
                          line of the file lacks it still. */
    char *allocated;
    char inline_bytes[512];
};

/* Reads the line at an offset of a log whose lines are whole up to an end, the
 * newline of the last one counted. An offset at or past that, or the end of the
 * file, gives an empty line of length 0. A line longer than KV_LINE_SIZE_MAX is
 * cut there. The caller releases the line, which holds no longer than the log
 * is open. */
kvstore_status kv_log_read_line(const struct kv_log *log,
                                uint64_t offset,
                                uint64_t end,
                                struct kv_log_line *line_out);
void kv_log_line_release(struct kv_log_line *line);

/* True if a line can begin at an offset: the byte before ends one, or is the last
 * of a run of NULs. */
kvstore_status kv_log_begins_line(const struct kv_log *log,
                                  uint64_t offset,
                                  bool *begins_line_out);

/* Asks the processor to fetch the first bytes of the line at an offset, which
 * may be anything. Does nothing where the log is not in memory there. */
void kv_log_prefetch(const struct kv_log *log, uint64_t offset);

#endif
