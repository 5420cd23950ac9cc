/* SPDX-License-Identifier: MIT */

/* Padding: one line of tabs past a log's last line, which a writer that keeps
 * all others out has written before it needs the room. Knows bytes and the
 * file, nothing of records. Private to log/: other folders append lines by
 * kv_log_append(), and ask log/log.h how far they go.
 *
 * A writer that does not sync copies its lines to a mapping of the padding. As
 * that was written before, a full disk is an error of that write, not a SIGBUS.
 * A writer that syncs writes its lines there, where a sync has nothing to
 * record but their bytes: the file has its size and its blocks already. Unless
 * a write is under way, the file is whole lines and at most white space after
 * them. */

#ifndef KV_LOG_PADDING_H
#define KV_LOG_PADDING_H

#include "kvstore.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_log_padding;

/* Nothing is mapped or padded yet. is_mapped: lines will be put into a mapping
 * of the padding; else they will be written to it. Returns NULL if there is no
 * memory: then there is no padding. */
struct kv_log_padding *kv_log_padding_create(bool is_mapped);

/* NULL is fine. Leaves the file as it is. */
void kv_log_padding_free(struct kv_log_padding *tail);

/* In all calls below that do not say otherwise, the tail may be NULL, which is
 * like one that never has padding. */

/* Makes room for size bytes past the last line, which ends at an offset.
 * has_room_out: there is padding for them. Then the caller must hand them to
 * kv_log_padding_put(), which cannot fail; or, if the tail is not mapped, write
 * them and report that to kv_log_padding_take(). Else it appends them: the tail
 * does not pay yet, or cannot be had, or not for so many; and there is no
 * padding any more, unless it could not be cut off. KVSTORE_BUSY: another
 * program has appended past the padding. */
kvstore_status kv_log_padding_make_room(struct kv_log_padding *tail,
                                        const struct kv_io_file *file,
                                        uint64_t end,
                                        size_t size,
                                        bool *has_room_out);

/* True if there is room already, in mapped padding. */
bool kv_log_padding_has_room(const struct kv_log_padding *tail, size_t size);

/* True if lines are put where there is room for them, and not written. The tail
 * is not NULL, nor is it in the next two calls. */
bool kv_log_padding_is_mapped(const struct kv_log_padding *tail);

/* Puts a line of at least two bytes there. A process that dies midway leaves it
 * with a tab in place of its first byte. */
void kv_log_padding_put(struct kv_log_padding *tail,
                        const char *line,
                        size_t size);

/* Notes that so many bytes have been written over padding with room for
 * them. */
void kv_log_padding_take(struct kv_log_padding *tail, size_t size);

/* Cuts off all that is past the last line, which ends at an offset, padding or
 * what could not be written whole, if that can be done. The last error
 * stays. */
void kv_log_padding_cut(struct kv_log_padding *tail,
                        const struct kv_io_file *file,
                        uint64_t end);

/* True if there is padding past the last line. */
bool kv_log_padding_is_padded(const struct kv_log_padding *tail);

/* Returns the size of the file whose last line ends at an offset, if no other
 * process has appended. */
uint64_t kv_log_padding_file_size(const struct kv_log_padding *tail,
                                  uint64_t end);

/* Cuts the padding off, if no other process has appended and that can be done.
 * The last error stays. */
void kv_log_padding_trim(struct kv_log_padding *tail,
                         const struct kv_io_file *file);

/* What padding is made of: white space between records, and never a part of a
 * string in one. So if a part of a line did not reach the disk, and padding
 * shows there, the line cannot be decoded. */
#define KV_LOG_PADDING_BYTE '\t'

/* Padding ends at a multiple of this, its newline counted: so does what is left
 * of it after a line that took its place and was cut short. A multiple of any
 * page size. */
#ifndef KV_PADDING_UNIT
#define KV_PADDING_UNIT ((size_t)64 << 10)
#endif

/* True if this last line, at an offset, its newline counted if it has one, is
 * padding. It has none, or ends with it at a multiple of the unit. Other white
 * space is not ours. */
#define KV_LOG_PADDING_MIN ((size_t)64)
#define KV_LOG_PADDING_MAX ((size_t)192 << 10)
bool kv_log_padding_is_padding(const char *bytes, size_t size, uint64_t offset);

/* Finds out whether there is nothing but padding from an offset to the end of a
 * file of this size, of a writer that may have died. */
kvstore_status kv_log_padding_find(const struct kv_io_file *file,
                                   uint64_t offset,
                                   uint64_t size,
                                   bool *is_padding_out);

/* Finds where the last whole line ends before the padding that a log of this size
 * ends in; the size if there is none. What is before that has been written, so a
 * reader without the lock that goes no further never takes tabs for what was there
 * when it read them. */
kvstore_status kv_log_padding_find_end(const struct kv_io_file *file,
                                       uint64_t size,
                                       uint64_t *end_out);

#endif
