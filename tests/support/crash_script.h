/* SPDX-License-Identifier: MIT */

/* Scripts of operations on a store whose power is cut, a letter each:
 *
 *     s  sets a key                     c  compacts
 *     l  sets it to a long value        p  repairs
 *     b  sets another key               o  closes; the next one opens anew
 *     r  removes the first              y  syncs
 *     w  writes a batch                 g  reads with a handle of its own
 *     W  writes a batch of long values  G  adds keys until the index grows
 *
 * S, L and C are s, a long value of the other key, and c by a second handle, as
 * another process would. */

#ifndef CRASH_SCRIPT_H
#define CRASH_SCRIPT_H

#include "crash_trace.h"
#include "kvstore.h"

#include <stddef.h>

#define CRASH_SCRIPT_MAX 12    /* With its NUL. */
#define CRASH_SCRIPT_GROUP 100 /* Keys that G adds. */

/* Makes the values. Before anything else here. */
void crash_script_prepare(void);

/* Says what the keys of a log hold that the scripts begin with, if there is
 * one. */
void crash_script_expect(struct crash_trace *trace);

/* Runs a script by handles with these options, and closes them. */
void crash_script_run(struct crash_trace *trace,
                      const char *script,
                      const kvstore_options *options);

/* Returns how many scripts of a length there are. */
size_t crash_script_count(const char *operations, size_t length);

/* Makes the i-th of them. */
void crash_script_make(const char *operations,
                       size_t length,
                       size_t i,
                       char script_out[CRASH_SCRIPT_MAX]);

#endif
