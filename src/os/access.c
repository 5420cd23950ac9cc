/* SPDX-License-Identifier: MIT */

/* Which users may open a file, and in which order that is changed.
 *
 * Invariants:
 * 1. Only a file that this process has made under a name that was free
 *    (O_EXCL) is given an owner, a group, a mode or a list. It is made with
 *    mode 0600: any list that the directory gives it has an empty mask, so only
 *    its maker can open it.
 * 2. While owner, group or list change, group and others may do nothing, and
 *    the owner no more than in the end: bits that are meant for one group never
 *    apply to another. What others may do comes last, by one call: the list, if
 *    there is one, since it holds the mode, else the mode.
 * 3. So at no moment may a user open the file that may not open it in the
 *    end. */

#include "os/access.h"

#include "os/error.h"
#include "os/system.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
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

static kvstore_status set_mode(const struct kv_io_file *file,
                               struct kv_io_stat *own,
                               mode_t mode)
{
    if (mode != own->mode && kv_io_table()->fchmod(file->fd, mode) != 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot set the mode of %s", file->name);
    }
    own->mode = mode;
    return KVSTORE_OK;
}

/* Sets the mode that suits the owner and the group that the file now has. */
static kvstore_status set_mode_like(const struct kv_io_file *file,
                                    struct kv_io_stat *own,
                                    const struct kv_io_stat *model)
{
    mode_t group =
        own->group == model->group ? group_bits(model) : other_bits(model);
    return set_mode(
        file, own, owner_bits(model) << 6 | group << 3 | other_bits(model));
}

static bool is_of_others(const struct kv_io_stat *own,
                         const struct kv_io_stat *model)
{
    return own->owner != model->owner || own->group != model->group;
}

/* Takes permissions away before owner, group or list change (Invariant 2). */
static kvstore_status hold_back(const struct kv_io_file *file,
                                struct kv_io_stat *own,
                                const struct kv_io_stat *model)
{
    return set_mode(file, own, (owner_bits(own) & owner_bits(model)) << 6);
}

/* Sets owner and group, or the group alone, or nothing. */
static void try_to_own(const struct kv_io_file *file,
                       struct kv_io_stat *own,
                       const struct kv_io_stat *model)
{
    if (!is_of_others(own, model)) {
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
    assert(file->fd >= 0);
    struct kv_io_stat own;
    kvstore_status status = kv_io_stat(file, &own);
    if (status == KVSTORE_OK && is_of_others(&own, model)) {
        status = hold_back(file, &own, model);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    try_to_own(file, &own, model);
    return set_mode_like(file, &own, model);
}

/* --- Access control lists --- */

/* As the kernel returns them: four bytes, and eight for each entry. */
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

static bool is_same_list(const struct access_list *one,
                         const struct access_list *other)
{
    return one->size == other->size &&
           memcmp(one->bytes, other->bytes, one->size) == 0;
}

/* Size 0: removes the list. */
static kvstore_status set_list(const struct kv_io_file *file,
                               const void *bytes,
                               size_t size)
{
    return kv_io_table()->set_access_list(file->fd, bytes, size) == 0
               ? KVSTORE_OK
               : kv_fail_errno(KVSTORE_IO,
                               errno,
                               "cannot set the access control list of %s",
                               file->name);
}

/* --- All of it --- */

/* The file may have a list that its directory gave it. */
static kvstore_status change_all(const struct kv_io_file *file,
                                 struct kv_io_stat *own,
                                 const struct kv_io_stat *model,
                                 const struct access_list *list)
{
    struct access_list own_list = {.size = 0};
    kvstore_status status = read_list(file, &own_list);
    bool is_changing =
        is_of_others(own, model) || !is_same_list(&own_list, list);
    if (status == KVSTORE_OK && is_changing) {
        status = hold_back(file, own, model);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    try_to_own(file, own, model);
    if (list->size != 0 && own->group == model->group) {
        return is_changing ? set_list(file, list->bytes, list->size)
                           : KVSTORE_OK;
    }
    if (own_list.size != 0) {
        status = set_list(file, own_list.bytes, 0);
    }
    return status == KVSTORE_OK ? set_mode_like(file, own, model) : status;
}

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
        status = kv_io_stat(file, own_out);
    }
    if (status == KVSTORE_OK) {
        status = change_all(file, own_out, model_out, &list);
    }
    *has_list_out = list.size != 0;
    return status;
}

kvstore_status kv_io_adopt_file(const struct kv_io_file *file,
                                const struct kv_io_file *model)
{
    assert(file->fd >= 0 && model->fd >= 0);
    struct kv_io_stat own;
    struct kv_io_stat stat;
    bool has_list = false;
    return adopt_all(file, model, &own, &stat, &has_list);
}

/* True if a user that may open the model could do less with the file. If the
 * owner is not kept, the model's owner is one of the group, or else one of the
 * others; if the group is not kept, its members are others. With a list, what
 * the bits mean is not known. */
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
    assert(file->fd >= 0 && model->fd >= 0);
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

/* --- A new log --- */

#define UMASK_LINE "\nUmask:\t"

/* What umask() would return, which cannot be asked without setting it for all
 * threads. All bits if the system does not say: then no other user gets what
 * this one may have wanted to keep. */
static mode_t read_umask(const struct kv_io_file *directory)
{
    kvstore_error before = *kvstore_last_error();
    struct kv_io_file file = KV_IO_FILE_NONE;
    char text[1024] = "";
    size_t size = 0;
    mode_t mask = 0777;
    if (kv_io_open(directory, "/proc/self/status", KV_IO_READ, &file) ==
        KVSTORE_OK) {
        (void)kv_io_read(&file, 0, text, sizeof text - 1, &size);
    }
    kv_io_close(&file);
    const char *line = strstr(text, UMASK_LINE);
    if (line != NULL) {
        mask = (mode_t)strtoul(line + strlen(UMASK_LINE), NULL, 8) & 0777;
    }
    kv_fail_again(&before);
    return mask;
}

/* The kernel could take the umask from the mode that a file is made with. But
 * then the file would be open before it is given away: to the group of the
 * process instead of the directory's, and to the directory's group only as to
 * others. So it is made with 0600, and the umask is read.
 *
 * - A directory that its group may write, or whose files get its group, is
 *   shared on purpose: the log is the group's, too. Otherwise, with the usual
 *   umask of 022, its members could not write each other's logs.
 * - Nor does the umask count if the directory has a list for new files, just as
 *   for any other file in it.
 * - In a sticky directory, such as /tmp, only the log's maker may open it. */
kvstore_status kv_io_adopt_directory(const struct kv_io_file *file,
                                     const struct kv_io_file *directory)
{
    assert(file->fd >= 0 && directory->fd >= 0);
    struct kv_io_stat model;
    struct access_list list = {.size = 0};
    kvstore_status status = kv_io_stat(directory, &model);
    if (status == KVSTORE_OK && model.is_sticky) {
        status = kv_io_stat(file, &model);
        model.mode = 0;
    }
    if (status == KVSTORE_OK) {
        status = read_list(file, &list);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    mode_t kept = list.size != 0                               ? 0066
                  : model.is_setgid || (model.mode & 020) != 0 ? 0060
                                                               : 0000;
    mode_t given = model.mode & 0066;
    if ((given & ~kept) != 0) {
        given &= kept | ~read_umask(directory);
    }
    model.mode = 0600 | given;
    return kv_io_adopt(file, &model);
}

/* --- Which users may write --- */

#define OTHERS_WRITE 02
#define GROUP_WRITES 020
#define ALL_WRITE (GROUP_WRITES | OTHERS_WRITE)

/* True if the file's owner, which is not the model's, may write the model as
 * one of its group. With a list, the group's bits do not say that. */
static kvstore_status may_owner_write(const struct kv_io_stat *own,
                                      const struct kv_io_stat *model,
                                      const struct kv_io_file *directory,
                                      bool has_list,
                                      bool *may_out)
{
    struct kv_io_stat place;
    *may_out = false;
    if (has_list || own->group != model->group ||
        (model->mode & GROUP_WRITES) == 0) {
        return KVSTORE_OK;
    }
    /* A file has a group that its maker is not in only if it is in a directory
     * that gives its own group to all files. */
    kvstore_status status = kv_io_stat(directory, &place);
    *may_out = status == KVSTORE_OK && !place.is_sticky &&
               (place.mode & OTHERS_WRITE) == 0;
    return status;
}

static bool are_same(const struct access_list *a, const struct access_list *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* The group's bits of a file with a list are the most that any user or group in
 * the list has. */
static kvstore_status judge_writers(const struct kv_io_file *file,
                                    const struct kv_io_stat *own,
                                    const struct kv_io_stat *model,
                                    const struct access_list *list,
                                    bool *is_fine)
{
    struct access_list own_list = {.size = 0};
    *is_fine = (own->mode & OTHERS_WRITE) == 0;
    if (!*is_fine || (own->mode & GROUP_WRITES) == 0) {
        return KVSTORE_OK;
    }
    kvstore_status status = read_list(file, &own_list);
    *is_fine = status == KVSTORE_OK && own->group == model->group &&
               (model->mode & GROUP_WRITES) != 0 && are_same(&own_list, list);
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
    struct access_list list = {.size = 0};
    bool is_fine = false;
    *is_as_guarded_out = false;
    kvstore_status status = kv_io_stat(file, &own);
    if (status == KVSTORE_OK) {
        status = kv_io_stat(model, &stat);
    }
    if (status != KVSTORE_OK) {
        return status;
    }
    bool is_owner_known = own.owner == stat.owner || own.owner == 0 ||
                          (may_write && own.owner == kv_io_user_id());
    if (is_owner_known && (own.mode & (GROUP_WRITES | OTHERS_WRITE)) == 0) {
        *is_as_guarded_out = true;
        return KVSTORE_OK;
    }
    status = read_list(model, &list);
    if (status == KVSTORE_OK && list.size == 0 &&
        (stat.mode & ALL_WRITE) == ALL_WRITE) {
        *is_as_guarded_out = true;
        return KVSTORE_OK;
    }
    if (status == KVSTORE_OK) {
        status = judge_writers(file, &own, &stat, &list, &is_fine);
    }
    if (status == KVSTORE_OK && is_fine && !is_owner_known) {
        status =
            may_owner_write(&own, &stat, directory, list.size != 0, &is_fine);
    }
    *is_as_guarded_out = status == KVSTORE_OK && is_fine;
    return status;
}
