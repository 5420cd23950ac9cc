/* SPDX-License-Identifier: MIT */

/* The memory that holds an index.
 *
 * Invariants:
 * 1. A file is whole, and has all its blocks, before it gets the name
 *    store.index; its size never changes. So no access to a mapping fails for
 *    want of room.
 * 2. One that builds an index has it locked (flock): a temporary file that can be
 *    locked no longer has a builder. A process that has an index open for use
 *    holds it (os/lock.h). */

#include "index/file.h"

#include "os/access.h"
#include "os/directory.h"
#include "os/error.h"
#include "os/lock.h"
#include "os/map.h"
#include "os/system.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CLAIM_TRIES 16

/* --- Creating --- */

static kvstore_status create_temporary(const struct kv_io_file *directory,
                                       struct kv_index_file *file)
{
    uint64_t random = 0;
    kvstore_status status = kv_io_random(&random, sizeof random);
    if (status != KVSTORE_OK) {
        return status;
    }
    char name[sizeof file->temporary_name];
    (void)snprintf(
        name, sizeof name, KV_INDEX_NAME ".%016" PRIx64 ".tmp", random);
    status = kv_io_open(directory, name, KV_IO_CREATE_NEW, &file->file);
    if (status == KVSTORE_OK) {
        memcpy(file->temporary_name, name, sizeof name);
        file->file.name = KV_INDEX_NAME;
    }
    return status;
}

/* Locks the new file, and checks that it has kept its name: a process that
 * sweeps may have come between its creation and its lock, and taken it for a
 * leftover. */
static kvstore_status claim_temporary(const struct kv_io_file *directory,
                                      struct kv_index_file *file,
                                      bool *is_claimed_out)
{
    struct kv_io_stat own;
    struct kv_io_stat named = {0};
    *is_claimed_out = false;
    kvstore_status status = kv_io_try_lock(&file->file, is_claimed_out);
    if (status != KVSTORE_OK || !*is_claimed_out) {
        return status;
    }
    status = kv_io_stat(&file->file, &own);
    if (status == KVSTORE_OK) {
        status = kv_io_stat_name(directory, file->temporary_name, &named);
    }
    *is_claimed_out = status == KVSTORE_OK && named.inode == own.inode;
    file->device = own.device;
    file->inode = own.inode;
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

static kvstore_status create_claimed(const struct kv_io_file *directory,
                                     struct kv_index_file *file)
{
    bool is_claimed = false;
    for (int i = 0; i < CLAIM_TRIES; i++) {
        kvstore_status status = create_temporary(directory, file);
        if (status == KVSTORE_OK) {
            status = claim_temporary(directory, file, &is_claimed);
        }
        if (status != KVSTORE_OK || is_claimed) {
            return status;
        }
        file->temporary_name[0] = '\0';
        kv_io_close(&file->file);
    }
    return kv_fail(KVSTORE_BUSY,
                   "busy: another program removes new files of %s",
                   KV_INDEX_NAME);
}

static kvstore_status create_private(struct kv_index_file *file)
{
    file->region = kv_io_allocate(file->size);
    if (file->region == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    memset(file->region, 0, file->size);
    return KVSTORE_OK;
}

kvstore_status kv_index_file_create(const struct kv_io_file *directory,
                                    const struct kv_io_file *model,
                                    uint64_t bucket_count,
                                    struct kv_index_file *file_out)
{
    *file_out = KV_INDEX_FILE_NONE;
    struct kv_index_file file = KV_INDEX_FILE_NONE;
    file.size = kv_table_region_size(bucket_count);
    file.is_writable = true;
    kvstore_status status = directory == NULL
                                ? create_private(&file)
                                : create_claimed(directory, &file);
    if (status == KVSTORE_OK && directory != NULL) {
        status = kv_io_adopt_file(&file.file, model);
    }
    if (status == KVSTORE_OK && directory != NULL) {
        status = kv_io_allocate_blocks(&file.file, file.size);
    }
    if (status != KVSTORE_OK) {
        kv_index_file_release(directory, &file);
        return status;
    }
    *file_out = file;
    return KVSTORE_OK;
}

kvstore_status kv_index_file_fill(struct kv_index_file *file,
                                  uint64_t offset,
                                  const void *bytes,
                                  size_t size)
{
    assert(!file->is_mapped && offset + size <= file->size);
    if (file->region != NULL) {
        memcpy((char *)file->region + offset, bytes, size);
        return KVSTORE_OK;
    }
    return kv_io_write(&file->file, offset, bytes, size);
}

kvstore_status kv_index_file_format(struct kv_index_file *file,
                                    uint64_t bucket_count,
                                    const struct kv_table_secret *secret,
                                    struct kv_table *table_out)
{
    kvstore_status status = KVSTORE_OK;
    if (file->region == NULL) {
        status = kv_io_map(&file->file, 0, file->size, true, &file->region);
        file->is_mapped = status == KVSTORE_OK;
        if (status == KVSTORE_OK) {
            status = kv_io_populate(&file->file, file->region, file->size);
        }
    }
    if (status == KVSTORE_OK) {
        *table_out = kv_table_format(file->region, bucket_count, secret);
    }
    return status;
}

void kv_index_file_hold(const struct kv_index_file *file)
{
    assert(file->file.fd >= 0);
    kv_error_hold();
    (void)kv_io_hold(&file->file);
    kv_error_release();
}

/* A directory, a FIFO or a link of that name is not ours to take away. */
static kvstore_status check_place(const struct kv_io_file *directory)
{
    struct kv_io_stat stat;
    kvstore_status status = kv_io_stat_name(directory, KV_INDEX_NAME, &stat);
    if (status == KVSTORE_NOT_FOUND) {
        return KVSTORE_OK;
    }
    return status == KVSTORE_OK && !stat.is_regular
               ? kv_fail_errno(KVSTORE_IO,
                               EEXIST,
                               "%s can neither be used nor replaced; it is "
                               "not a regular file: take it away",
                               KV_INDEX_NAME)
               : status;
}

kvstore_status kv_index_file_name(const struct kv_io_file *directory,
                                  struct kv_index_file *file)
{
    assert(file->file.fd >= 0 && !file->has_name);
    kvstore_status status = check_place(directory);
    if (status == KVSTORE_OK) {
        status = kv_io_rename(
            directory, &file->file, file->temporary_name, KV_INDEX_NAME);
    }
    if (status == KVSTORE_OK) {
        file->has_name = true;
        kv_io_unlock(&file->file);
        kv_index_file_hold(file);
    }
    return status;
}

void kv_index_file_unname(const struct kv_io_file *directory)
{
    kv_error_hold();
    if (check_place(directory) == KVSTORE_OK) {
        (void)kv_io_unlink(directory, KV_INDEX_NAME);
    }
    kv_error_release();
}

bool kv_index_file_is_refused(void)
{
    switch (kvstore_last_error()->system_errno) {
    case EACCES:
    case EDQUOT:
    case EEXIST: /* It is not a regular file. */
    case EFBIG:
    case EINVAL:
    case ENODEV:
    case ENOMEM: /* Of addresses. */
    case ENOSPC:
    case ENOSYS:
    case EOPNOTSUPP:
    case EPERM:
    case EROFS:
        return true;
    default:
        return false;
    }
}

/* --- Afterwards --- */

kvstore_status kv_index_file_share(const struct kv_index_file *file,
                                   struct kv_index_file *file_out,
                                   struct kv_table *table_out)
{
    struct kv_index_file shared = *file;
    assert(file->file.fd >= 0);
    *file_out = KV_INDEX_FILE_NONE;
    shared.is_writable = false;
    shared.has_name = true; /* The copy must not remove that. */
    kvstore_status status = kv_io_duplicate(&file->file, &shared.file);
    if (status == KVSTORE_OK) {
        status = kv_io_map(&shared.file, 0, shared.size, false, &shared.region);
    }
    if (status == KVSTORE_OK &&
        !kv_table_attach(shared.region, shared.size, table_out)) {
        kv_io_unmap(shared.region, shared.size);
        status = kv_fail(KVSTORE_CORRUPT, "the index is damaged");
    }
    if (status != KVSTORE_OK) {
        kv_io_close(&shared.file);
        return status;
    }
    *file_out = shared;
    return KVSTORE_OK;
}

kvstore_status kv_index_file_is_current(const struct kv_io_file *directory,
                                        const struct kv_index_file *file,
                                        bool *is_current_out)
{
    struct kv_io_stat named;
    kvstore_status status = kv_io_stat_name(directory, KV_INDEX_NAME, &named);
    *is_current_out = status == KVSTORE_OK && named.device == file->device &&
                      named.inode == file->inode;
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

/* Removes a temporary file that has no builder. One that cannot be opened was
 * left by a process of another user that died before it gave the file away. */
static void sweep_name(void *context, const char *name)
{
    const struct kv_io_file *directory = context;
    struct kv_io_file file = KV_IO_FILE_NONE;
    bool is_free = false;
    if (kv_io_open(directory, name, KV_IO_READ, &file) == KVSTORE_OK) {
        (void)kv_io_try_lock(&file, &is_free);
    } else {
        is_free = kvstore_last_error()->system_errno == EACCES;
    }
    if (is_free) {
        (void)kv_io_unlink(directory, name);
    }
    kv_io_close(&file);
}

void kv_index_file_sweep(const struct kv_io_file *directory)
{
    kv_error_hold();
    struct kv_io_file own = *directory;
    (void)kv_io_list(directory, KV_INDEX_NAME ".", ".tmp", sweep_name, &own);
    kv_error_release();
}

void kv_index_file_release(const struct kv_io_file *directory,
                           struct kv_index_file *file)
{
    if (!file->is_mapped) {
        kv_io_free(file->region);
    } else {
        kv_io_unmap(file->region, file->size);
    }
    /* A child of fork no longer has a descriptor. */
    if (file->file.fd >= 0 && !file->has_name &&
        file->temporary_name[0] != '\0') {
        kv_error_hold();
        (void)kv_io_unlink(directory, file->temporary_name);
        kv_error_release();
    }
    kv_io_close(&file->file);
    *file = KV_INDEX_FILE_NONE;
}
