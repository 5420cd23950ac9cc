/* SPDX-License-Identifier: MIT */

/* Where the index leads to for many records in a row. Each has to wait for memory
 * twice, for its slot and, if that leads on, for the line there. So it is done in
 * steps, between which others are looked at. */

#include "command.h"
#include "keydir.h"

#include <stdbool.h>

void kv_keydir_seek_begin(const struct kv_keydir *keydir,
                          const char *key,
                          size_t key_size,
                          uint64_t offset,
                          struct kv_keydir_seek *seek_out)
{
    *seek_out = (struct kv_keydir_seek){
        .offset = offset, .hash = kv_index_hash(&keydir->index, key, key_size)};
}

void kv_keydir_seek_slot(const struct kv_keydir *keydir,
                         const struct kv_log *log,
                         struct kv_keydir_seek *seek)
{
    const struct kv_index *index = &keydir->index;
    struct kv_index_probe probe = kv_index_probe_start(index, seek->hash);
    struct kv_index_entry entry;
    while (!seek->leads_here && kv_index_probe_next(index, &probe, &entry)) {
        seek->leads_here = entry.offset == seek->offset;
        if (seek->later == 0 && entry.offset > seek->offset &&
            !entry.is_flagged) {
            seek->later = entry.offset;
        }
    }
    if (!seek->leads_here && seek->later != 0) {
        kv_log_prefetch(log, seek->later);
    }
}

bool kv_keydir_seek_leads_on(const struct kv_keydir *keydir,
                             const struct kv_log *log,
                             const struct kv_keydir_seek *seek,
                             const char *key,
                             size_t key_size)
{
    uint64_t end =
        atomic_load_explicit(&keydir->index.header->end, memory_order_acquire);
    size_t size = 0;
    const char *line =
        seek->later == 0 ? NULL : kv_log_peek(log, seek->later, end, &size);
    return line != NULL &&
           kv_command_begins_with_key(line, size, key, key_size);
}
