/* SPDX-License-Identifier: MIT */

/* Decides which index may be trusted.
 *
 * Invariants:
 * 1. An index is never on the disk for certain. It is believed at once only in
 *    a boot in which it was made or checked, and there only through a mount
 *    that it is known by, or if some other process has had it open all along:
 *    then every page of it has stayed in memory. A holder vouches for no other
 *    boot: any process that may read the file can be one.
 * 2. Any other index of the log is checked against all of the log, by one
 *    process for all that see it from the same place. It never loses its name
 *    because a process cannot tell where it is: such a process checks it, for
 *    itself.
 * 3. The same log may be seen from several places in turns, as from containers
 *    that have mounts, or even boots, of their own. So an index keeps several
 *    of each, and the next one takes them along: else these would check it anew
 *    for ever.
 * 4. That a sync has failed is true as long as this kernel's memory is, whoever
 *    sees the log from wherever. So it goes along to an index that is built in
 *    the place of this one; and a process of a boot that this one does not know
 *    takes it for over only if no other process holds the index: after a reboot
 *    none does, before it knows that boot. */

#include "index/trust.h"

#include "os/access.h"
#include "os/error.h"
#include "os/lock.h"
#include "os/map.h"
#include "os/system.h"

#include <errno.h>
#include <stdatomic.h>

/* Linux before 6.8 gives the number of a mount that is gone to the next one;
 * the numbers that later kernels give are larger than any of those. */
#define REUSED_MOUNT_ID_MAX ((uint64_t)INT32_MAX)

/* --- Judging --- */

static bool has_id(const _Atomic uint64_t *ids, size_t count, uint64_t id)
{
    bool has_it = false;
    for (size_t i = 0; i < count; i++) {
        has_it |= atomic_load(&ids[i]) == id;
    }
    return has_it && id != 0;
}

/* Puts an id before all others; the last one is forgotten if there is no room.
 * If another process does the same at that moment, one of them may be lost. */
static void add_id(_Atomic uint64_t *ids, size_t count, uint64_t id)
{
    if (id == 0 || has_id(ids, count, id)) {
        return;
    }
    for (size_t i = count - 1; i > 0; i--) {
        atomic_store(&ids[i], atomic_load(&ids[i - 1]));
    }
    atomic_store(&ids[0], id);
}

/* Puts an id after all others, if there is room. */
static void append_id(_Atomic uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count && id != 0 && !has_id(ids, count, id); i++) {
        if (atomic_load(&ids[i]) == 0) {
            atomic_store(&ids[i], id);
        }
    }
}

bool kv_index_file_is_of_boot(const struct kv_table *table, uint64_t boot_id)
{
    return has_id(table->header->boot_ids, KV_TABLE_BOOTS, boot_id);
}

static bool is_of_mount(const struct kv_table *table, uint64_t mount_id)
{
    return has_id(table->header->mount_ids, KV_TABLE_MOUNTS, mount_id);
}

bool kv_index_file_is_held(const struct kv_index_file *file)
{
    return kv_io_is_held(&file->file);
}

/* Holds an index that is seen through another mount, if another process has held
 * it since before this one opened the file. */
static bool join_holders(const struct kv_index_file *file)
{
    bool is_held = kv_index_file_is_held(file);
    if (is_held) {
        kv_index_file_hold(file);
    }
    return is_held;
}

/* True unless both sides know the word, and differ. */
static bool may_be_same(uint64_t a, uint64_t b)
{
    return a == 0 || b == 0 || a == b;
}

static bool is_of_log(const struct kv_table *table,
                      const struct kv_table_identity *identity)
{
    const struct kv_table_identity *own = &table->header->identity;
    return own->log_device == identity->log_device &&
           own->log_inode == identity->log_inode &&
           may_be_same(own->log_birth_ns, identity->log_birth_ns) &&
           may_be_same(own->log_generation, identity->log_generation);
}

static enum kv_index_file_trust trust_of_state(const struct kv_table *table)
{
    switch (atomic_load(&table->header->state)) {
    case KV_TABLE_LIVE:
        return KV_INDEX_FILE_TRUSTED;
    case KV_TABLE_SWITCHING:
        return KV_INDEX_FILE_UNSETTLED;
    default:
        return KV_INDEX_FILE_UNTRUSTED;
    }
}

/* Judges an index that is mapped. */
static enum kv_index_file_trust judge_index(const struct kv_index_file *file,
                                            const struct kv_table *table,
                                            const struct kv_index_view *view)
{
    if (!is_of_log(table, &view->identity)) {
        return KV_INDEX_FILE_UNTRUSTED;
    }
    enum kv_index_file_trust trust = trust_of_state(table);
    if (trust == KV_INDEX_FILE_UNTRUSTED) {
        return trust;
    }
    if (!kv_index_file_is_of_boot(table, view->boot_id)) {
        return KV_INDEX_FILE_UNCHECKED;
    }
    if (is_of_mount(table, view->mount_id)) {
        kv_index_file_hold(file);
    } else if (view->mount_id == 0 || !join_holders(file)) {
        return KV_INDEX_FILE_UNCHECKED;
    } else if (file->is_writable) {
        add_id(table->header->mount_ids, KV_TABLE_MOUNTS, view->mount_id);
    }
    return trust_of_state(table);
}

/* Notes that an index is found to be true in a boot that it does not know, in
 * which the numbers of mounts may mean others. If another process holds it, this
 * is still the memory in which a sync may have failed. */
static void enter_boot(const struct kv_index_file *file,
                       const struct kv_table *table)
{
    for (size_t i = 0; i < KV_TABLE_MOUNTS; i++) {
        atomic_store(&table->header->mount_ids[i], 0);
    }
    if (!join_holders(file)) {
        atomic_store(&table->header->poisoned_inode, 0);
        atomic_store(&table->header->slow_until, 0); /* By another clock. */
    }
}

enum kv_index_file_trust kv_index_file_vouch(const struct kv_index_file *file,
                                             const struct kv_table *table,
                                             const struct kv_index_view *view)
{
    if (file->is_writable && view->boot_id != 0) {
        if (!kv_index_file_is_of_boot(table, view->boot_id)) {
            enter_boot(file, table);
        }
        kv_index_file_hold(file);
        add_id(table->header->mount_ids, KV_TABLE_MOUNTS, view->mount_id);
        add_id(table->header->boot_ids, KV_TABLE_BOOTS, view->boot_id);
    }
    return trust_of_state(table);
}

/* --- Opening --- */

/* True if missing blocks show that no builder made the file: a builder's has
 * all of them, but some file systems compress, or count late. */
static bool lacks_blocks(const struct kv_io_file *file)
{
    return kv_io_takes_mapped_writes(file);
}

/* is_refused_out: a call has failed for a reason that has nothing to do with the
 * file: it may be there, and true. */
static kvstore_status open_named(const struct kv_io_file *directory,
                                 bool is_writable,
                                 struct kv_io_file *file,
                                 bool *is_refused_out)
{
    kvstore_status status = kv_io_open(
        directory, KV_INDEX_NAME, is_writable ? KV_IO_WRITE : KV_IO_READ, file);
    switch (status == KVSTORE_OK ? 0 : kvstore_last_error()->system_errno) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSYS:
        *is_refused_out = true;
        break;
    default:
        *is_refused_out = false;
    }
    return status;
}

static kvstore_status map_file(const struct kv_io_file *directory,
                               bool is_writable,
                               struct kv_index_file *file,
                               struct kv_table *table,
                               enum kv_index_file_trust *trust_out)
{
    struct kv_io_stat stat = {.size = 0};
    bool is_refused = false;
    *trust_out = KV_INDEX_FILE_UNTRUSTED;
    file->is_writable = is_writable;
    file->has_name = true;
    kvstore_status status =
        open_named(directory, is_writable, &file->file, &is_refused);
    if (status == KVSTORE_OK) {
        status = kv_io_stat(&file->file, &stat);
        is_refused = status != KVSTORE_OK;
    }
    bool has_blocks = stat.allocated >= stat.size || !lacks_blocks(&file->file);
    if (status == KVSTORE_OK && stat.size >= KV_TABLE_HEADER_SIZE &&
        stat.size <= kv_table_region_size(KV_TABLE_BUCKETS_MAX) && has_blocks) {
        file->size = (size_t)stat.size;
        file->device = stat.device;
        file->inode = stat.inode;
        status =
            kv_io_map(&file->file, 0, file->size, is_writable, &file->region);
        is_refused = status != KVSTORE_OK;
        file->is_mapped = !is_refused;
        if (file->is_mapped &&
            kv_table_attach(file->region, file->size, table)) {
            *trust_out = KV_INDEX_FILE_UNCHECKED;
        }
    }
    if (is_refused) {
        *trust_out = KV_INDEX_FILE_UNUSABLE;
    }
    return status;
}

/* Leaves it unchecked if only processes that may write the log can have written
 * it. */
static kvstore_status check_writers(const struct kv_io_file *directory,
                                    const struct kv_io_file *log,
                                    const struct kv_index_file *file,
                                    bool may_write,
                                    enum kv_index_file_trust *trust)
{
    bool is_guarded = false;
    if (*trust != KV_INDEX_FILE_UNCHECKED) {
        return KVSTORE_OK;
    }
    kvstore_status status = kv_io_is_as_guarded(
        &file->file, log, directory, may_write, &is_guarded);
    if (status != KVSTORE_OK) {
        *trust = KV_INDEX_FILE_UNUSABLE;
    } else if (!is_guarded) {
        *trust = KV_INDEX_FILE_UNTRUSTED;
    }
    return status;
}

enum kv_index_file_trust kv_index_file_open(const struct kv_io_file *directory,
                                            const struct kv_io_file *log,
                                            const struct kv_index_view *view,
                                            bool is_writable,
                                            struct kv_index_file *file_out,
                                            struct kv_table *table_out)
{
    kv_error_hold();
    struct kv_index_file file = KV_INDEX_FILE_NONE;
    enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
    *file_out = KV_INDEX_FILE_NONE;
    kvstore_status status =
        map_file(directory, is_writable, &file, table_out, &trust);
    if (status == KVSTORE_OK) {
        status = check_writers(directory, log, &file, is_writable, &trust);
    }
    if (trust == KV_INDEX_FILE_UNCHECKED) {
        trust = judge_index(&file, table_out, view);
    }
    if (trust <= KV_INDEX_FILE_UNUSABLE) {
        kv_index_file_release(directory, &file);
    } else {
        *file_out = file;
    }
    (void)kv_error_release_after(trust == KV_INDEX_FILE_UNUSABLE ? status
                                                                 : KVSTORE_OK);
    return trust;
}

/* --- Naming --- */

kvstore_status kv_index_file_identify(struct kv_table *table,
                                      const struct kv_io_file *log,
                                      uint64_t log_device,
                                      uint64_t log_inode)
{
    struct kv_io_birth birth = kv_io_birth(log);
    struct kv_table_identity identity = {.log_device = log_device,
                                         .log_inode = log_inode,
                                         .log_birth_ns = birth.time_ns,
                                         .log_generation = birth.generation};
    uint64_t boot_id = 0;
    kvstore_status status = kv_io_boot_id(&boot_id);
    if (status == KVSTORE_OK) {
        kv_table_seal(table, &identity);
        atomic_store(&table->header->boot_ids[0], boot_id);
        atomic_store(&table->header->mount_ids[0], kv_io_mount_id(log));
    }
    return status;
}

/* Where the numbers of mounts are used again, one of them may be that of a later
 * mount, which proves nothing. */
static void copy_mounts(const struct kv_table *from, struct kv_table *to)
{
    for (size_t i = 0; i < KV_TABLE_MOUNTS; i++) {
        uint64_t id = atomic_load(&from->header->mount_ids[i]);
        if (id > REUSED_MOUNT_ID_MAX) {
            append_id(to->header->mount_ids, KV_TABLE_MOUNTS, id);
        }
    }
}

/* Copies what is known of this kernel's memory. */
static void copy_boots(const struct kv_table *from, struct kv_table *to)
{
    const struct kv_table_identity *identity = &to->header->identity;
    for (size_t i = 0; i < KV_TABLE_BOOTS; i++) {
        append_id(to->header->boot_ids,
                  KV_TABLE_BOOTS,
                  atomic_load(&from->header->boot_ids[i]));
    }
    if (is_of_log(from, identity) &&
        atomic_load(&from->header->poisoned_inode) == identity->log_inode) {
        atomic_store(&to->header->poisoned_inode, identity->log_inode);
    }
}

/* Copies what the index that had the name knew, if that is true here. */
static void take_views(const struct kv_index_file *file,
                       const struct kv_table *from,
                       struct kv_table *to)
{
    uint64_t boot_id = atomic_load(&to->header->boot_ids[0]);
    bool is_of_here = boot_id == 0 || kv_index_file_is_of_boot(from, boot_id);
    if (from->header->identity.log_device != to->header->identity.log_device) {
        return;
    }
    if (is_of_here) {
        copy_mounts(from, to);
    }
    if (is_of_here || join_holders(file)) {
        copy_boots(from, to);
    }
}

void kv_index_file_take_views(const struct kv_io_file *directory,
                              const struct kv_io_file *log,
                              struct kv_table *table)
{
    kv_error_hold();
    struct kv_index_file file = KV_INDEX_FILE_NONE;
    struct kv_table old;
    enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
    kvstore_status status = map_file(directory, false, &file, &old, &trust);
    if (status == KVSTORE_OK) {
        (void)check_writers(directory, log, &file, true, &trust);
    }
    if (trust == KV_INDEX_FILE_UNCHECKED) {
        take_views(&file, &old, table);
    }
    kv_index_file_release(directory, &file);
    kv_error_release();
}
