/* SPDX-License-Identifier: MIT */

#include "io_access.h"

#include "error.h"
#include "io_system.h"

#include <errno.h>
#include <string.h>

/* Read and write permission, as the low bits of a mode. */
#define READ_WRITE 06

static mode_t owner_bits(const struct kv_io_stat *stat)
{
    return stat->mode >> 6 & READ_WRITE;
}

static mode_t group_bits(const struct kv_io_stat *stat)
{
    return stat->mode >> 3 & READ_WRITE;
}

static mode_t other_bits(const struct kv_io_stat *stat)
{
    return stat->mode & READ_WRITE;
}

/* --- Owner, group, mode --- */

/* Sets owner and group, or the group alone, or nothing. */
static void try_to_own(const struct kv_io_file *file,
                       const struct kv_io_stat *model,
                       struct kv_io_stat *own)
{
    if (own->owner == model->owner && own->group == model->group) {
        return;
    }
    if (kv_io_table()->fchown(file->fd, model->owner, model->group) == 0) {
        own->owner = model->owner;
        own->group = model->group;
    } else if (own->group != model->group &&
               kv_io_table()->fchown(file->fd, (uid_t)-1, model->group) == 0) {
        own->group = model->group;
    }
}

kvstore_status kv_io_adopt(const struct kv_io_file *file,
                           const struct kv_io_stat *model)
{
    struct kv_io_stat own;
    kvstore_status status = kv_io_stat(file, &own);
    if (status != KVSTORE_OK) {
        return status;
    }
    try_to_own(file, model, &own);
    mode_t group =
        own.group == model->group ? group_bits(model) : other_bits(model);
    mode_t mode = owner_bits(model) << 6 | group << 3 | other_bits(model);
    if (mode != own.mode && kv_io_table()->fchmod(file->fd, mode) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot set the mode of %s", file->name);
    }
    return KVSTORE_OK;
}

/* --- Access control lists --- */

/* As the kernel hands them out: four bytes, and eight for each entry. */
struct access_list {
    size_t size; /* 0: none. */
    char bytes[4096];
};

static kvstore_status read_list(const struct kv_io_file *file,
                                struct access_list *list_out)
{
    ssize_t size = kv_io_table()->get_access_list(
        file->fd, list_out->bytes, sizeof list_out->bytes);
    list_out->size = size > 0 ? (size_t)size : 0;
    return size < 0 ? kv_fail_errno(KVSTORE_IO,
                                    errno,
                                    "cannot read the access control list of %s",
                                    file->name)
                    : KVSTORE_OK;
}

/* The file may have one that its directory gave it. */
static kvstore_status set_list(const struct kv_io_file *file,
                               const struct access_list *list)
{
    struct access_list own;
    kvstore_status status = read_list(file, &own);
    if (status != KVSTORE_OK || (own.size == 0 && list->size == 0)) {
        return status;
    }
    return kv_io_table()->set_access_list(file->fd, list->bytes, list->size) ==
                   0
               ? KVSTORE_OK
               : kv_fail_errno(KVSTORE_IO,
                               errno,
                               "cannot set the access control list of %s",
                               file->name);
}

/* --- All of it --- */

static kvstore_status adopt_all(const struct kv_io_file *file,
                                const struct kv_io_file *model,
                                struct kv_io_stat *own_out,
                                struct kv_io_stat *model_out,
                                bool *has_list_out)
{
    struct access_list list = {.size = 0};
    kvstore_status status = kv_io_stat(model, model_out);
    if (status == KVSTORE_OK) {
        status = read_list(model, &list);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_adopt(file, model_out);
    }
    if (status == KVSTORE_OK) {
        status = kv_io_stat(file, own_out);
    }
    if (status == KVSTORE_OK && own_out->group == model_out->group) {
        status = set_list(file, &list);
    }
    *has_list_out = list.size != 0;
    return status;
}

kvstore_status kv_io_adopt_file(const struct kv_io_file *file,
                                const struct kv_io_file *model)
{
    struct kv_io_stat own;
    struct kv_io_stat stat;
    bool has_list = false;
    return adopt_all(file, model, &own, &stat, &has_list);
}

/* Who owned the model is one of its group, or one of the others; who is of that
 * group, one of the others. With a list, nobody knows what the bits mean. */
static bool locks_somebody_out(const struct kv_io_stat *own,
                               const struct kv_io_stat *model,
                               bool has_list)
{
    bool is_owner_kept = own->owner == model->owner;
    bool is_group_kept = own->group == model->group;
    if (has_list) {
        return !is_owner_kept || !is_group_kept;
    }
    mode_t left_to_owner =
        is_group_kept ? group_bits(model) : other_bits(model);
    return (!is_owner_kept && (owner_bits(model) & ~left_to_owner) != 0) ||
           (!is_group_kept && (group_bits(model) & ~other_bits(model)) != 0);
}

kvstore_status kv_io_adopt_place(const struct kv_io_file *file,
                                 const struct kv_io_file *model)
{
    struct kv_io_stat own;
    struct kv_io_stat stat;
    bool has_list = false;
    kvstore_status status = adopt_all(file, model, &own, &stat, &has_list);
    return status == KVSTORE_OK && locks_somebody_out(&own, &stat, has_list)
               ? kv_fail_errno(KVSTORE_IO,
                               EPERM,
                               "some who may open %s would be locked out: its "
                               "owner and group cannot be kept",
                               model->name)
               : status;
}

/* --- Who may write --- */

#define OTHERS_WRITE 02
#define GROUP_WRITES 020

/* May the owner of the file, who is not that of the model, write the model? */
static kvstore_status may_owner_write(const struct kv_io_stat *own,
                                      const struct kv_io_stat *model,
                                      const struct kv_io_file *directory,
                                      bool *may_out)
{
    struct kv_io_stat place;
    *may_out = false;
    if (own->group != model->group || (model->mode & GROUP_WRITES) == 0) {
        return KVSTORE_OK;
    }
    /* A file gets a group that its maker is not in only in a directory that gives
     * its own to all. */
    kvstore_status status = kv_io_stat(directory, &place);
    *may_out = status == KVSTORE_OK && !place.is_sticky &&
               (place.mode & OTHERS_WRITE) == 0;
    return status;
}

/* May the group of the file, and whoever its list names, write the model? The
 * group's bits of a file with a list are the most that anybody named has. */
static kvstore_status may_group_write(const struct kv_io_file *file,
                                      const struct kv_io_file *model,
                                      bool is_of_group,
                                      bool *may_out)
{
    struct access_list own;
    struct access_list theirs;
    kvstore_status status = read_list(file, &own);
    if (status == KVSTORE_OK) {
        status = read_list(model, &theirs);
    }
    *may_out = status == KVSTORE_OK && is_of_group && own.size == theirs.size &&
               memcmp(own.bytes, theirs.bytes, own.size) == 0;
    return status;
}

kvstore_status kv_io_is_as_guarded(const struct kv_io_file *file,
                                   const struct kv_io_file *model,
                                   const struct kv_io_file *directory,
                                   bool may_write,
                                   bool *is_as_guarded_out)
{
    struct kv_io_stat own;
    struct kv_io_stat stat;
    *is_as_guarded_out = false;
    kvstore_status status = kv_io_stat(file, &own);
    if (status == KVSTORE_OK) {
        status = kv_io_stat(model, &stat);
    }
    if (status != KVSTORE_OK || (stat.mode & OTHERS_WRITE) != 0) {
        *is_as_guarded_out = status == KVSTORE_OK;
        return status;
    }
    bool is_fine = (own.mode & OTHERS_WRITE) == 0;
    bool is_owner_known = own.owner == stat.owner || own.owner == 0 ||
                          (may_write && own.owner == kv_io_user_id());
    if (is_fine && !is_owner_known) {
        status = may_owner_write(&own, &stat, directory, &is_fine);
    }
    if (status == KVSTORE_OK && is_fine && (own.mode & GROUP_WRITES) != 0) {
        bool is_of_group =
            own.group == stat.group && (stat.mode & GROUP_WRITES) != 0;
        status = may_group_write(file, model, is_of_group, &is_fine);
    }
    *is_as_guarded_out = status == KVSTORE_OK && is_fine;
    return status;
}
