/* SPDX-License-Identifier: MIT */

#include "own_names.h"

int kv_fail(void)
{
    static int count;
    return ++count;
}

int kv_io_table(void)
{
    static int count;
    return ++count;
}

int kv_log_append(void)
{
    static int count;
    return ++count;
}
