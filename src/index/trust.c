/* SPDX-License-Identifier: MIT */

/* Decides which index may be trusted.
 *
 * Invariants:
 * 1. An index is never on the disk for certain. It is believed only in the boot
 *    in which it was written, and there only through a mount that it is known
 *    by, or if some other process has had it open all along: then every page of
 *    it has stayed in memory. A process that finds that none has marks it
 *    SUPERSEDED before releasing the lock. A lock vouches for no other boot:
 *    any process that may read the file can hold one. Where the system reports
 *    no boot, the lock is all there is.
 * 2. A mount that was there for the index before, and still is, has been there
 *    all along. So its number is copied to the next index: else two processes
 *    that come in turns, each through a mount of its own, would build each
 *    other's index anew for ever. */

#include "index/trust.h"

#include "os/access.h"
#include "os/error.h"
#include "os/lock.h"
#include "os/map.h"
#include "os/system.h"

#include <stdatomic.h>

#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 100000

/* Linux before 6.8 gives the number of a mount that is gone to the next one;
 * the numbers that later kernels give are larger than any of those. */
#define REUSED_MOUNT_ID_MAX ((uint64_t)INT32_MAX)

/* --- Judging --- */

static bool is_boot_told(const uint64_t boot_id[2])
{
    return boot_id[0] != 0 || boot_id[1] != 0;
}

/* True if the index may be from the same boot. */
static bool is_of_boot(const struct kv_table *table,
                       const struct kv_table_identity *identity)
{
    const uint64_t *boot_id = table->header->identity.boot_id;
    return boot_id[0] == identity->boot_id[0] &&
           boot_id[1] == identity->boot_id[1];
}

static bool is_id_known(const struct kv_table *table,
                        const struct kv_table_identity *identity,
                        uint64_t mount_id)
{
    bool is_known = mount_id == 0;
    if (!is_boot_told(identity->boot_id)) {
        return false;
    }
    for (size_t i = 0; i < KV_TABLE_MOUNTS; i++) {
        is_known |= atomic_load(&table->header->mount_ids[i]) == mount_id;
    }
    return is_known;
}

static void add_mount_id(const struct kv_table *table, uint64_t mount_id)
{
    for (size_t i = 0; i < KV_TABLE_MOUNTS; i++) {
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(
                &table->header->mount_ids[i], &none, mount_id)) {
            return;
        }
    }
    atomic_store(&table->header->mount_ids[mount_id % KV_TABLE_MOUNTS],
                 mount_id);
}

/* True if another process holds a lock on the index. If none does, it is marked
 * SUPERSEDED before this process releases it (Invariant 1). */
static bool is_held(const struct kv_index_file *file,
                    const struct kv_table *table)
{
    bool is_unheld = false;
    if (kv_io_try_lock(&file->file, false, &is_unheld) != KVSTORE_OK) {
        return false;
    }
    if (is_unheld && file->is_writable) {
        atomic_store(&table->header->state, KV_TABLE_SUPERSEDED);
    }
    return !is_unheld;
}

/* Takes the shared lock of an index that is seen through another mount, if
 * others hold it already. */
static bool join_holders(const struct kv_index_file *file,
                         const struct kv_table *table)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        bool is_locked = false;
        if (!is_held(file, table)) {
            return false;
        }
        if (kv_io_try_lock(&file->file, true, &is_locked) != KVSTORE_OK) {
            return false;
        }
        if (is_locked) {
            return true;
        }
        kv_io_sleep_ns(LOCK_PAUSE_NS);
    }
    return false;
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

/* Judges an index that is mapped. */
static enum kv_index_file_trust judge_index(
    const struct kv_index_file *file,
    const struct kv_table *table,
    const struct kv_table_identity *identity,
    uint64_t mount_id)
{
    if (!is_of_log(table, identity) || !is_of_boot(table, identity)) {
        return KV_INDEX_FILE_UNTRUSTED;
    }
    if (is_id_known(table, identity, mount_id)) {
        kv_index_file_hold(file);
    } else if (!join_holders(file, table)) {
        return KV_INDEX_FILE_UNTRUSTED;
    } else if (file->is_writable) {
        add_mount_id(table, mount_id);
    }
    switch (atomic_load(&table->header->state)) {
    case KV_TABLE_LIVE:
        return KV_INDEX_FILE_TRUSTED;
    case KV_TABLE_SWITCHING:
        return KV_INDEX_FILE_UNSETTLED;
    default:
        return KV_INDEX_FILE_UNTRUSTED;
    }
}

/* --- Opening --- */

/* True if missing blocks show that no builder made the file: a builder's has
 * all of them, but some file systems compress, or count late. */
static bool lacks_blocks(const struct kv_io_file *file)
{
    return kv_io_takes_mapped_writes(file);
}

static kvstore_status map_file(const struct kv_io_file *directory,
                               bool is_writable,
                               struct kv_index_file *file,
                               struct kv_table *table,
                               bool *is_ours_out)
{
    struct kv_io_stat stat;
    *is_ours_out = false;
    file->is_writable = is_writable;
    file->has_name = true;
    kvstore_status status = kv_io_open(directory,
                                       KV_INDEX_NAME,
                                       is_writable ? KV_IO_WRITE : KV_IO_READ,
                                       &file->file);
    if (status == KVSTORE_OK) {
        status = kv_io_stat(&file->file, &stat);
    }
    if (status != KVSTORE_OK || stat.size < KV_TABLE_HEADER_SIZE ||
        stat.size > kv_table_region_size(KV_TABLE_LEVEL_MAX)) {
        return status;
    }
    file->size = (size_t)stat.size;
    file->device = stat.device;
    file->inode = stat.inode;
    if (stat.allocated < stat.size && lacks_blocks(&file->file)) {
        return KVSTORE_OK;
    }
    status = kv_io_map(&file->file, 0, file->size, is_writable, &file->region);
    file->is_mapped = status == KVSTORE_OK;
    if (status == KVSTORE_OK) {
        *is_ours_out = kv_table_attach(file->region, file->size, table);
    }
    return status;
}

enum kv_index_file_trust kv_index_file_open(
    const struct kv_io_file *directory,
    const struct kv_io_file *log,
    const struct kv_table_identity *identity,
    bool is_writable,
    struct kv_index_file *file_out,
    struct kv_table *table_out)
{
    kv_error_hold();
    struct kv_index_file file = KV_INDEX_FILE_NONE;
    bool is_ours = false;
    uint64_t mount_id = 0;
    enum kv_index_file_trust trust = KV_INDEX_FILE_UNTRUSTED;
    *file_out = KV_INDEX_FILE_NONE;
    kvstore_status status =
        map_file(directory, is_writable, &file, table_out, &is_ours);
    bool is_guarded = false;
    if (status == KVSTORE_OK && is_ours) {
        status = kv_io_is_as_guarded(
            &file.file, log, directory, is_writable, &is_guarded);
    }
    if (status == KVSTORE_OK && is_guarded) {
        status = kv_io_mount_id(log, &mount_id);
    }
    if (status == KVSTORE_OK && is_guarded) {
        trust = judge_index(&file, table_out, identity, mount_id);
    }
    if (trust == KV_INDEX_FILE_UNTRUSTED) {
        kv_index_file_release(directory, &file);
    } else {
        *file_out = file;
    }
    kv_error_release();
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
    uint64_t mount_id = 0;
    kvstore_status status = kv_io_boot_id(identity.boot_id);
    if (status == KVSTORE_OK) {
        status = kv_io_mount_id(log, &mount_id);
    }
    if (status == KVSTORE_OK) {
        kv_table_seal(table, &identity);
        atomic_store(&table->header->mount_ids[0], mount_id);
    }
    return status;
}

/* Copies the mounts through which the old index was seen, as far as the new one
 * has room for them beside its builder's. Where numbers are used again, one of
 * them may be that of a later mount, which proves nothing. */
static void copy_mount_ids(const struct kv_table *from, struct kv_table *to)
{
    uint64_t own_id = atomic_load(&to->header->mount_ids[0]);
    for (size_t i = 0, count = 1; i < KV_TABLE_MOUNTS; i++) {
        uint64_t id = atomic_load(&from->header->mount_ids[i]);
        if (id > REUSED_MOUNT_ID_MAX && id != own_id &&
            count < KV_TABLE_MOUNTS) {
            atomic_store(&to->header->mount_ids[count++], id);
        }
    }
}

void kv_index_file_take_mounts(const struct kv_io_file *directory,
                               const struct kv_io_file *log,
                               struct kv_table *table)
{
    kv_error_hold();
    const struct kv_table_identity *own = &table->header->identity;
    struct kv_index_file file = KV_INDEX_FILE_NONE;
    struct kv_table old;
    bool is_ours = false;
    bool is_guarded = false;
    kvstore_status status = map_file(directory, false, &file, &old, &is_ours);
    if (status == KVSTORE_OK && is_ours) {
        status =
            kv_io_is_as_guarded(&file.file, log, directory, true, &is_guarded);
    }
    if (status == KVSTORE_OK && is_guarded &&
        old.header->identity.log_device == own->log_device &&
        is_of_boot(&old, own)) {
        copy_mount_ids(&old, table);
    }
    kv_index_file_release(directory, &file);
    kv_error_release();
}
