/* SPDX-License-Identifier: MIT */

/* The append-only file of lines. Knows bytes and newlines, not JSON. */

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
    struct kv_log_padding *tail; /* NULL: they are written by system calls. */
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

/* From now on, whoever appends many lines finds room for them: in memory, or in
 * the file alone. For the writer that keeps all others out as long as the log is
 * open. */
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
