/* SPDX-License-Identifier: MIT */

#include "idle_clock.h"

#include "os/file.h"
#include "os/system.h"

static struct kv_io_table table;
static int64_t now_ns;
static int64_t asked_ns;

static int64_t idle_clock_ns(void)
{
    return now_ns;
}

static void idle_sleep_ns(int64_t ns)
{
    now_ns += ns;
}

void idle_clock_start(void)
{
    now_ns = INT64_C(1000000000000);
    asked_ns = now_ns;
    table = *kv_io_system_table();
    table.clock_ns = idle_clock_ns;
    table.clock_coarse_ns = idle_clock_ns;
    table.sleep_ns = idle_sleep_ns;
    kv_io_swap_table(&table);
}

void idle_clock_stop(void)
{
    kv_io_swap_table(kv_io_system_table());
}

int64_t idle_clock_slept_ns(void)
{
    int64_t slept_ns = now_ns - asked_ns;
    asked_ns = now_ns;
    return slept_ns;
}
