/* SPDX-License-Identifier: MIT */

/* Who may open a file: owner, group, mode and, where the file system has such
 * things, the access control list (acl(5)). A file that others take the place of
 * must neither let anybody in by that nor lock anybody out. */

#ifndef KV_OS_ACCESS_H
#define KV_OS_ACCESS_H

#include "kvstore.h"
#include "os/file.h"

/* All of these are for files that this process has just made by
 * KV_IO_CREATE_NEW, and for no others: what was there before is nobody's to give
 * away. At no moment may anybody open the file who may not in the end.
 *
 * Gives a file the mode, the group and, where this process may set it, the
 * owner of another. Where the group cannot be set, the one that the file has may
 * do what others may. */
kvstore_status kv_io_adopt(const struct kv_io_file *file,
                           const struct kv_io_stat *model);

/* The same, of an open file, with its access control list; but for that where
 * the group cannot be set, since it would speak of another one. */
kvstore_status kv_io_adopt_file(const struct kv_io_file *file,
                                const struct kv_io_file *model);

/* The same, for a file that is to take the other's place. KVSTORE_IO, EPERM:
 * somebody who may open that could not open this. */
kvstore_status kv_io_adopt_place(const struct kv_io_file *file,
                                 const struct kv_io_file *model);

/* True if everybody who may write a file that was found in a directory may write a
 * model, too, or replace it: so nobody else has put anything into the file. Not
 * everything can be found out about an owner other than the model's: a group that
 * may write the model is taken to have this one as a member where nobody else could
 * have made the file. may_write: this process may write the model. */
kvstore_status kv_io_is_as_guarded(const struct kv_io_file *file,
                                   const struct kv_io_file *model,
                                   const struct kv_io_file *directory,
                                   bool may_write,
                                   bool *is_as_guarded_out);

/* For a new log, mode 0600 still: makes it as open as its directory, whose owner
 * and group it gets; less what the umask takes away, but from the group of a
 * directory that the group shares. */
kvstore_status kv_io_adopt_directory(const struct kv_io_file *file,
                                     const struct kv_io_file *directory);

#endif
