/* SPDX-License-Identifier: MIT */

/* Sends what would go to standard output into a file, which is replaced whole or
 * not at all. Knows no commands, and of a store only what its files are called. */

#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct cli_target {
    const char *name; /* As the user says it; borrowed. */
    char *file;       /* What is replaced; NULL: nothing is. */
    char *temporary;  /* What is written until then. */
};

/* From now on standard output is the file of this name. What is no regular file,
 * such as /dev/null, is written as it is. False: that is not possible, or the file
 * is one of the store's in a directory; this was reported. */
bool cli_target_begin(struct cli_target *target,
                      const char *file,
                      const char *data_dir);

/* Puts what was written in the place of the file, or if it is not wanted, removes
 * it. False: that failed, which was reported. target may be zero. */
bool cli_target_end(struct cli_target *target, bool is_wanted);

#endif
