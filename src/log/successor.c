/* SPDX-License-Identifier: MIT */

/* store.log.compact belongs to the process that holds a lock on it. A leftover
 * is removed, never read. */

#include "log/successor.h"

#include "os/access.h"
#include "os/directory.h"
#include "os/error.h"
#include "os/lock.h"

#include <assert.h>
#include <errno.h>

/* How often leftovers are removed before the name is given up. */
#define NAME_TRIES 16

static bool is_same_file(const struct kv_io_stat *one,
                         const struct kv_io_stat *other)
{
    /* cppcheck-suppress uninitvar; callers have read both if status is OK */
    return one->device == other->device && one->inode == other->inode;
}

/* Checks that store.log.compact is still the file that we hold, and that it has
 * no other name, by which it could be written beside the store. One call
 * reports both: between two, names can be exchanged. */
static kvstore_status check_name(const struct kv_io_file *directory,
                                 const struct kv_log *new_log,
                                 bool *is_ours_out)
{
    struct kv_io_stat own = {.device = new_log->device,
                             .inode = new_log->inode};
    struct kv_io_stat named;
    kvstore_status status =
        kv_io_stat_name(directory, KV_LOG_COMPACT_NAME, &named);
    *is_ours_out = status == KVSTORE_OK && is_same_file(&own, &named);
    if (status == KVSTORE_OK && *is_ours_out && named.names != 1) {
        return kv_fail(KVSTORE_BUSY,
                       "%s was given one more name by another program",
                       KV_LOG_COMPACT_NAME);
    }
    if (status == KVSTORE_NOT_FOUND ||
        (status == KVSTORE_OK && !*is_ours_out)) {
        return kv_fail(KVSTORE_BUSY,
                       "%s was replaced by another program",
                       KV_LOG_COMPACT_NAME);
    }
    return status;
}

/* Removes the name, whatever has it. That nothing has it is a success, too. */
static kvstore_status remove_name(const struct kv_io_file *directory)
{
    kvstore_status status = kv_io_unlink(directory, KV_LOG_COMPACT_NAME);
    return status != KVSTORE_OK && kvstore_last_error()->system_errno == ENOENT
               ? KVSTORE_OK
               : status;
}

/* Removes a leftover if no process holds its lock. KVSTORE_BUSY: a compaction
 * does. Only while the lock is held, and the name leads to what is locked, can
 * no compaction have the name. */
static kvstore_status remove_unlocked(const struct kv_io_file *directory,
                                      const struct kv_io_file *file)
{
    struct kv_io_stat own;
    struct kv_io_stat named;
    kvstore_status status = kv_io_lock(file, 0, NULL);
    if (status == KVSTORE_OK) {
        status = kv_io_stat(file, &own);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_stat_name(directory, KV_LOG_COMPACT_NAME, &named);
    }
    if (status == KVSTORE_NOT_FOUND ||
        (status == KVSTORE_OK && !is_same_file(&own, &named))) {
        return KVSTORE_OK; /* The next try meets what is there now. */
    }
    return status == KVSTORE_OK ? remove_name(directory) : status;
}

/* Removes what has the name. No compaction can be writing a file that cannot be
 * opened and locked: a symbolic link, a FIFO, a socket; or one left by a
 * process of another user that died before it gave the file away, which it does
 * under the writers' lock. */
static kvstore_status remove_leftover(const struct kv_io_file *directory)
{
    struct kv_io_stat named;
    struct kv_io_file file = KV_IO_FILE_NONE;
    kvstore_status status =
        kv_io_stat_name(directory, KV_LOG_COMPACT_NAME, &named);
    if (status != KVSTORE_OK) {
        return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
    }
    if (!named.is_regular) {
        return remove_name(directory);
    }
    status = kv_io_open(directory, KV_LOG_COMPACT_NAME, KV_IO_READ, &file);
    if (status != KVSTORE_OK) {
        int error = kvstore_last_error()->system_errno;
        return error == EACCES || error == ELOOP || error == ENOENT
                   ? remove_name(directory)
                   : status;
    }
    status = remove_unlocked(directory, &file);
    kv_io_close(&file);
    return status;
}

/* Creates the file. It never takes one that was there, which its creator may
 * have open. */
static kvstore_status create_file(const struct kv_io_file *directory,
                                  struct kv_io_file *file_out)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        kvstore_status status = kv_io_open(
            directory, KV_LOG_COMPACT_NAME, KV_IO_CREATE_NEW, file_out);
        if (status == KVSTORE_OK ||
            kvstore_last_error()->system_errno != EEXIST) {
            return status;
        }
        status = remove_leftover(directory);
        if (status != KVSTORE_OK) {
            return status;
        }
    }
    return kv_fail(KVSTORE_BUSY,
                   "busy: another program makes files of the name %s",
                   KV_LOG_COMPACT_NAME);
}

/* Locks it, and checks that it has kept its name. */
static kvstore_status claim_file(const struct kv_io_file *directory,
                                 struct kv_log *new_log)
{
    struct kv_io_stat own;
    bool is_ours = false;
    kvstore_status status = kv_io_lock(&new_log->file, 0, NULL);
    if (status == KVSTORE_OK) {
        status = kv_io_stat(&new_log->file, &own);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    new_log->device = own.device;
    new_log->inode = own.inode;
    return check_name(directory, new_log, &is_ours);
}

kvstore_status kv_successor_create(const struct kv_io_file *directory,
                                   const struct kv_log *log,
                                   struct kv_log *new_log)
{
    assert(directory->fd >= 0 && (log == NULL || log->file.fd >= 0));
    *new_log = KV_LOG_NONE;
    kvstore_status status = create_file(directory, &new_log->file);
    if (status == KVSTORE_OK) {
        status = claim_file(directory, new_log);
    }
    if (status == KVSTORE_OK) {
        status = log == NULL ? kv_io_adopt_directory(&new_log->file, directory)
                             : kv_io_adopt_place(&new_log->file, &log->file);
    }
    return status;
}

kvstore_status kv_successor_rename(const struct kv_io_file *directory,
                                   struct kv_log *new_log)
{
    assert(new_log->file.fd >= 0);
    bool is_ours = false;
    kvstore_status status = check_name(directory, new_log, &is_ours);
    if (status == KVSTORE_OK) {
        status = kv_io_rename(
            directory, &new_log->file, KV_LOG_COMPACT_NAME, KV_LOG_NAME);
    }
    if (status == KVSTORE_OK) {
        new_log->file.name = KV_LOG_NAME;
        kv_io_unlock(&new_log->file);
    }
    return status;
}

bool kv_successor_remove_leftover(const struct kv_io_file *directory)
{
    struct kv_io_stat named;
    kv_error_hold();
    bool is_removed =
        kv_io_stat_name(directory, KV_LOG_COMPACT_NAME, &named) == KVSTORE_OK &&
        named.is_regular && remove_leftover(directory) == KVSTORE_OK &&
        kv_io_stat_name(directory, KV_LOG_COMPACT_NAME, &named) ==
            KVSTORE_NOT_FOUND;
    kv_error_release();
    return is_removed;
}

/* Frees the room. A file that another program has locked or put there is left
 * to it. */
void kv_successor_discard(const struct kv_io_file *directory,
                          struct kv_log *new_log)
{
    kv_error_hold();
    bool is_ours = false;
    if (new_log->inode != 0) {
        (void)check_name(directory, new_log, &is_ours);
    }
    if (is_ours) {
        (void)kv_io_unlink(directory, KV_LOG_COMPACT_NAME);
    }
    kv_log_close(new_log);
    kv_error_release();
}
