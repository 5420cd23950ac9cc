/* SPDX-License-Identifier: MIT */

/* What the command line asks for. */

#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ROUND_COUNT_MAX 15

struct bench_options {
    const char *stores;    /* Names separated by commas; NULL: all. */
    const char *workloads; /* The same. */
    const char *dir;       /* Where the stores are made. */
    const char *json_file; /* NULL: none. */
    const char *plots_dir; /* NULL: none. */
    uint64_t keys;
    unsigned rounds;
    bool is_quick;
};

/* Parses the arguments. Returns -1 to go on, else an exit status. */
int bench_options_parse(struct bench_options *options, int argc, char **argv);

/* True if the name is in a list separated by commas. NULL is the list of
 * all. */
bool bench_is_listed(const char *list, const char *name);

#endif
