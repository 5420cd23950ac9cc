/* SPDX-License-Identifier: MIT */

/* The end of a log that a writer which keeps all others out has written before
 * it needs it: padding, one line of tabs. Knows bytes and the file, nothing of
 * records. Private to log/: other folders have lines appended by
 * kv_log_append(), and ask log/log.h how far they go.
 *
 * A writer that does not sync has its lines copied to a mapping of the padding.
 * As that was written before, a full disk is an error of that write, and no
 * SIGBUS. A writer that does sync writes its lines there, where a sync has
 * nothing to note but their bytes: the file has its size and its blocks
 * already. Unless a write is under way, the file is whole lines and at most
 * white space after them. */

#ifndef KV_LOG_PADDING_H
#define KV_LOG_PADDING_H

#include "kvstore.h"
#include "os/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_log_padding;

/* Nothing is mapped or padded yet. is_mapped: lines are to be put into a map of
 * the padding; else they are written to it. NULL where there is no memory: then
 * there is no padding. */
struct kv_log_padding *kv_log_padding_create(bool is_mapped);

/* NULL is fine. Leaves the file as it is. */
void kv_log_padding_free(struct kv_log_padding *tail);

/* In all calls from here on that do not say otherwise, the tail may be NULL,
 * and is as if it never had padding. */

/* Makes room for size bytes past the last line, which ends at an offset.
 * has_room_out: there is padding for them. They are to be handed to
 * kv_log_padding_put(), which cannot fail; or, if the tail is not mapped, to be
 * written and then told to kv_log_padding_take(). Else the caller appends them:
 * the tail does not pay yet, or cannot be had, or not for so many; and there is
 * no padding any more, unless it could not be cut off. KVSTORE_BUSY: another
 * program has appended past the padding. */
kvstore_status kv_log_padding_make_room(struct kv_log_padding *tail,
                                        const struct kv_io_file *file,
                                        uint64_t end,
                                        size_t size,
                                        bool *has_room_out);

/* True if lines are put where there is room for them, and not written. The tail
 * is not NULL, nor is it in the next two calls. */
bool kv_log_padding_is_mapped(const struct kv_log_padding *tail);

/* Puts a line of at least two bytes there. A process that dies on the way
 * leaves it without its first byte, with a tab there. */
void kv_log_padding_put(struct kv_log_padding *tail,
                        const char *line,
                        size_t size);

/* So many bytes have been written over padding that there was room for. */
void kv_log_padding_take(struct kv_log_padding *tail, size_t size);

/* Cuts off all that is past the last line, which ends at an offset, padding or
 * what could not be written whole, if that can be done. The last error
 * stays. */
void kv_log_padding_cut(struct kv_log_padding *tail,
                        const struct kv_io_file *file,
                        uint64_t end);

/* True if there is padding past the last line. */
bool kv_log_padding_is_padded(const struct kv_log_padding *tail);

/* The size of the file whose last line ends at an offset, if nobody else has
 * appended. */
uint64_t kv_log_padding_file_size(const struct kv_log_padding *tail,
                                  uint64_t end);

/* Cuts the padding off, if nobody else has appended and that can be done. The
 * last error stays. */
void kv_log_padding_trim(struct kv_log_padding *tail,
                         const struct kv_io_file *file);

/* What padding is made of: white space between records, and in no string of one.
 * So where a part of a line did not come to the disk, and padding shows, the line
 * does not read. */
#define KV_LOG_PADDING_BYTE '\t'

/* Padding ends at a multiple of this, its newline counted: so does what is left
 * of it behind a line that took its place and was cut short. A multiple of any
 * page. */
#ifndef KV_PADDING_UNIT
#define KV_PADDING_UNIT ((size_t)64 << 10)
#endif

/* Is this last line at an offset, its newline counted where it has one, padding?
 * It has none, or it ends there at a multiple of the unit. Other white space is
 * somebody else's. */
#define KV_LOG_PADDING_MIN ((size_t)64)
#define KV_LOG_PADDING_MAX ((size_t)192 << 10)
bool kv_log_padding_is_padding(const char *bytes, size_t size, uint64_t offset);

/* Is there nothing but padding from an offset on to the end of a file of this
 * size, that a writer has or had who may have died? */
kvstore_status kv_log_padding_find(const struct kv_io_file *file,
                                   uint64_t offset,
                                   uint64_t size,
                                   bool *is_padding_out);

/* Where the padding begins that a log of this size ends in; the size if there is
 * none. What stands before it is written, so that a reader without the lock who
 * goes no further never takes tabs for what stood there when it read them. */
kvstore_status kv_log_padding_find_end(const struct kv_io_file *file,
                                       uint64_t size,
                                       uint64_t *end_out);

#endif
