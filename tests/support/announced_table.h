/* SPDX-License-Identifier: MIT */

/* A table that makes each call of the library known to whoever traces the
 * process: before and after it comes an access(2) of a path that is not there,
 * /kvstore-mark/enter/NAME and /kvstore-mark/leave. */

#ifndef ANNOUNCED_TABLE_H
#define ANNOUNCED_TABLE_H

#include "os/system.h"

#include <stdbool.h>

/* Returns the table. It forwards to the system's own. */
const struct kv_io_table *announced_table(void);

/* Says what follows: mark /kvstore-mark/WORD/NAME. From the word "begin" to the
 * word "end" calls are counted. */
void announced_mark(const char *word, const char *name);

/* What to do beside the table, to see that this is found out. NULL: nothing.
 * False if there is no such call. */
bool announced_plant(const char *call);

/* Prints how often each member of the table was called. */
void announced_print(void);

#endif
