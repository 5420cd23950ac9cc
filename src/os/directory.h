/* SPDX-License-Identifier: MIT */

/* Directories, and the names in them. */

#ifndef KV_OS_DIRECTORY_H
#define KV_OS_DIRECTORY_H

#include "kvstore.h"
#include "os/file.h"

/* Opens a directory. Descriptors are never 0 to 2, and close on exec. Its name
 * in messages is "the data directory". A missing one is KVSTORE_IO with
 * ENOENT. */
kvstore_status kv_io_open_directory(const char *path,
                                    struct kv_io_file *directory_out);

/* Creates a directory, with mode 0700, if there is none, and those above it,
 * and syncs the directory above each. */
kvstore_status kv_io_make_directories(const char *path);

/* Renames a file that is open. A rename that reports a failure may have been done
 * all the same, and whoever went on by the old name would lose what comes: so if
 * the file has the name, that is a success. */
kvstore_status kv_io_rename(const struct kv_io_file *directory,
                            const struct kv_io_file *file,
                            const char *from,
                            const char *to);
kvstore_status kv_io_unlink(const struct kv_io_file *directory,
                            const char *name);

/* Calls back for each name in a directory with this prefix and suffix. */
typedef void (*kv_io_visit_name)(void *context, const char *name);
kvstore_status kv_io_list(const struct kv_io_file *directory,
                          const char *prefix,
                          const char *suffix,
                          kv_io_visit_name visit,
                          void *context);

#endif
