/* SPDX-License-Identifier: MIT */

/* What a run does in another way than the model says: the number that SWAPPED
 * in the environment has, 0 for none; and a size of the model, MOST. So a model
 * is compiled once for all. */

c_decl {
\#include <stdlib.h>
static int swapped;
static int most;
__attribute__((constructor)) static void choose(void)
{
    const char *number = getenv("SWAPPED");
    swapped = number == NULL ? 0 : atoi(number);
    number = getenv("MOST");
    most = number == NULL ? 0 : atoi(number);
}
}

#define most_of_them c_expr { most }
#define is(name) c_expr { swapped == name }
