/* SPDX-License-Identifier: MIT */

/* Goes through a range of a store, and prints it: what list and export have in
 * common. Knows no options of theirs. */

#ifndef CLI_WALK_H
#define CLI_WALK_H

#include "cli/format.h"
#include "cli/options.h"
#include <kvstore.h>

#include <stdbool.h>
#include <stdint.h>

/* Prints the entries of the range, in order. What is damaged is named, and the
 * others are printed. format NULL: none is printed, only counted. Returns the
 * exit status. */
int cli_walk(const struct cli_options *options,
             const kvstore *store,
             const kvstore_range *range,
             struct cli_format *format,
             uint64_t *count_out);

#endif
