/* SPDX-License-Identifier: MIT */

/* What the figures were measured on. */

#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

struct bench_machine {
    char processor[100];
    char kernel[200];
    char file_system[32];
    char date[32];
    long processors;
    long memory_mib;
};

/* Describes the machine, and the file system of a directory. */
void bench_machine_describe(struct bench_machine *machine_out, const char *dir);

#endif
