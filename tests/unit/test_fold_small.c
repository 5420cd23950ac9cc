/* SPDX-License-Identifier: MIT */

/* The same batches with a cursor that holds a handful of bytes: each line is
 * longer than that, and most damaged ones are cut. */

#include "test_fold_batches.c" /* NOLINT(bugprone-suspicious-include): the
                                   same tests, compiled with other bounds. */
