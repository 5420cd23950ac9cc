/* SPDX-License-Identifier: MIT */

/* Names: created, renamed, removed, listed. */

#include "os/directory.h"

#include "os/descriptors.h"
#include "os/error.h"
#include "os/system.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_NAME "the data directory"

kvstore_status kv_io_open_directory(const char *path,
                                    struct kv_io_file *directory_out)
{
    assert(path != NULL);
    *directory_out = KV_IO_FILE_NONE;

    int fd = kv_io_descriptors_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return kv_fail_errno(
            KVSTORE_IO, errno, "cannot open %s", DIRECTORY_NAME);
    }
    *directory_out = (struct kv_io_file){.fd = fd, .name = DIRECTORY_NAME};
    return KVSTORE_OK;
}

/* Gives the owner of a directory that was made just now the rights that the umask
 * has taken away. Whoever opens it learns of other failures. */
static kvstore_status give_owner_rights(const char *path)
{
    int fd = kv_io_descriptors_open(
        AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0) {
        return errno == EACCES
                   ? kv_fail_errno(KVSTORE_IO,
                                   errno,
                                   "cannot open '%s', which was made just now; "
                                   "the umask takes away its owner's rights",
                                   path)
                   : KVSTORE_OK;
    }
    struct stat stat;
    if (kv_io_table()->fstat(fd, &stat) == 0 &&
        (stat.st_mode & S_IRWXU) != S_IRWXU) {
        (void)kv_io_table()->fchmod(fd, (stat.st_mode & 07777) | S_IRWXU);
    }
    kv_io_descriptors_close(fd);
    return KVSTORE_OK;
}

/* Makes one directory if there is none, and syncs the one above, even if
 * another process made it: that process may have been killed before its sync.
 * If the one above may not be read, it cannot be synced. */
static kvstore_status make_directory(const char *path, const char *above)
{
    if (kv_io_table()->mkdir(path, 0700) == 0) {
        kvstore_status status = give_owner_rights(path);
        if (status != KVSTORE_OK) {
            return status;
        }
    } else if (errno != EEXIST) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot create '%s'", path);
    }
    int fd = kv_io_descriptors_open(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return errno == EACCES
                   ? KVSTORE_OK
                   : kv_fail_errno(
                         KVSTORE_IO, errno, "cannot open '%s'", above);
    }
    kvstore_status status = KVSTORE_OK;
    if (kv_io_table()->fsync(fd) != 0) {
        status = kv_fail_errno(KVSTORE_IO, errno, "cannot sync '%s'", above);
    }
    kv_io_descriptors_close(fd);
    return status;
}

kvstore_status kv_io_make_directories(const char *path)
{
    size_t size = strlen(path) + 1;
    char *part = kv_io_allocate(2 * size);
    if (part == NULL) {
        return KVSTORE_NO_MEMORY;
    }
    char *above = part + size;
    memcpy(above, path[0] == '/' ? "/" : ".", 2);

    kvstore_status status = KVSTORE_OK;
    for (size_t i = 1; i < size && status == KVSTORE_OK; i++) {
        bool ends_here = path[i] == '/' || path[i] == '\0';
        if (!ends_here || path[i - 1] == '/') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        status = make_directory(part, above);
        memcpy(above, part, i + 1);
    }
    kv_io_free(part);
    return status;
}

static bool has_name(const struct kv_io_file *directory,
                     const struct kv_io_file *file,
                     const char *name)
{
    struct kv_io_stat own;
    struct kv_io_stat named;
    kv_error_hold();
    bool is_same = kv_io_stat(file, &own) == KVSTORE_OK &&
                   kv_io_stat_name(directory, name, &named) == KVSTORE_OK &&
                   own.device == named.device && own.inode == named.inode;
    kv_error_release();
    return is_same;
}

kvstore_status kv_io_rename(const struct kv_io_file *directory,
                            const struct kv_io_file *file,
                            const char *from,
                            const char *to)
{
    if (kv_io_table()->renameat(directory->fd, from, to) == 0) {
        return KVSTORE_OK;
    }
    int rename_errno = errno;
    return has_name(directory, file, to)
               ? KVSTORE_OK
               : kv_fail_errno(KVSTORE_IO,
                               rename_errno,
                               "cannot rename %s to %s",
                               from,
                               to);
}

kvstore_status kv_io_unlink(const struct kv_io_file *directory,
                            const char *name)
{
    if (kv_io_table()->unlinkat(directory->fd, name) != 0) {
        return kv_fail_errno(KVSTORE_IO, errno, "cannot remove %s", name);
    }
    return KVSTORE_OK;
}

static bool has_ends(const char *name, const char *prefix, const char *suffix)
{
    size_t size = strlen(name);
    size_t prefix_size = strlen(prefix);
    size_t suffix_size = strlen(suffix);
    return size >= prefix_size + suffix_size &&
           memcmp(name, prefix, prefix_size) == 0 &&
           memcmp(name + size - suffix_size, suffix, suffix_size) == 0;
}

kvstore_status kv_io_list(const struct kv_io_file *directory,
                          const char *prefix,
                          const char *suffix,
                          kv_io_visit_name visit,
                          void *context)
{
    kv_io_descriptors_hold();
    DIR *stream = kv_io_table()->opendir(directory->fd);
    int open_errno = errno;
    kv_io_descriptors_add(stream == NULL ? -1 : dirfd(stream));
    kv_io_descriptors_let_go();
    if (stream == NULL) {
        return kv_fail_errno(
            KVSTORE_IO, open_errno, "cannot list %s", directory->name);
    }
    const struct dirent *entry = NULL;
    while ((entry = kv_io_table()->readdir(stream)) != NULL) {
        if (has_ends(entry->d_name, prefix, suffix)) {
            visit(context, entry->d_name);
        }
    }
    kv_io_descriptors_hold();
    kv_io_descriptors_remove(dirfd(stream));
    (void)kv_io_table()->closedir(stream);
    kv_io_descriptors_let_go();
    return KVSTORE_OK;
}
