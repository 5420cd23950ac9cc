/* SPDX-License-Identifier: MIT */

/* Which users may open a file: owner, group, mode and, where the file system
 * has such things, the access control list (acl(5)). A file that takes
 * another's place must neither let in a user that the other kept out, nor lock
 * out one that it let in. */

#ifndef KV_OS_ACCESS_H
#define KV_OS_ACCESS_H

#include "kvstore.h"
#include "os/file.h"

/* All of these, but for kv_io_is_as_guarded(), are for files that this process
 * has just made with KV_IO_CREATE_NEW, and for no others: an older file is not
 * ours to give away. At no moment may a user open the file that may not open it
 * in the end.
 *
 * Gives a file the mode, the group and, if this process may set it, the owner
 * of another. If the group cannot be set, the group that the file has may do
 * what others may. */
kvstore_status kv_io_adopt(const struct kv_io_file *file,
                           const struct kv_io_stat *model);

/* The same, from an open file, and with its access control list, except where
 * the group cannot be set: the list would then be about another group. */
kvstore_status kv_io_adopt_file(const struct kv_io_file *file,
                                const struct kv_io_file *model);

/* The same, for a file that will take the other's place. KVSTORE_IO with EPERM:
 * a user that may open the other could not open this one. */
kvstore_status kv_io_adopt_place(const struct kv_io_file *file,
                                 const struct kv_io_file *model);

/* True if every user that may write a file found in a directory may also write
 * a model, or replace it: so no other user has put anything into the file. Not
 * everything can be found out about an owner other than the model's: that owner
 * is taken to be a member of a group that may write the model if only members
 * could have made the file. may_write: this process may write the model. */
kvstore_status kv_io_is_as_guarded(const struct kv_io_file *file,
                                   const struct kv_io_file *model,
                                   const struct kv_io_file *directory,
                                   bool may_write,
                                   bool *is_as_guarded_out);

/* For a new log, still of mode 0600: makes it as open as its directory, whose
 * owner and group it gets; less what the umask takes away, which is nothing
 * from the group of a directory that the group shares. */
kvstore_status kv_io_adopt_directory(const struct kv_io_file *file,
                                     const struct kv_io_file *directory);

#endif
