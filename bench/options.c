/* SPDX-License-Identifier: MIT */

/* The command line of the benchmark. */

#include "options.h"

#include "workload.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_QUICK = 256,
    OPTION_STORES,
    OPTION_WORKLOADS,
    OPTION_KEYS,
    OPTION_ROUNDS,
    OPTION_DIR,
    OPTION_JSON,
    OPTION_PLOTS
};

static const struct option long_options[] = {
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"stores", required_argument, NULL, OPTION_STORES},
    {"workloads", required_argument, NULL, OPTION_WORKLOADS},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"dir", required_argument, NULL, OPTION_DIR},
    {"json", required_argument, NULL, OPTION_JSON},
    {"plots", required_argument, NULL, OPTION_PLOTS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0}};

bool bench_is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);
    while (list != NULL) {
        size_t length = strcspn(list, ",");
        if (length == size && memcmp(list, name, size) == 0) {
            return true;
        }
        if (list[length] == '\0') {
            return false;
        }
        list += length + 1;
    }
    return true;
}

static void print_stores(void)
{
    const struct bench_store *store;
    for (size_t i = 0; (store = bench_store_at(i)) != NULL; i++) {
        (void)printf(" %s", store->name);
    }
}

static void print_workloads(void)
{
    const struct bench_workload *workload;
    for (size_t i = 0; (workload = bench_workload_at(i)) != NULL; i++) {
        (void)printf("  %-20s %s%s\n",
                     workload->name,
                     workload->what,
                     workload->is_on_request ? " (only if it is named)" : "");
    }
}

static void print_help(void)
{
    (void)fputs(
        "Usage: kvstore_bench [OPTION]...\n"
        "Measures kvstore and the stores that it was built with, in turn.\n"
        "\n"
        "  --quick            two minutes at most, few keys: to try it out\n"
        "  --stores LIST      only these, with commas between\n"
        "  --workloads LIST   only these\n"
        "  --keys NUMBER      keys in a full store (1000000; quick: 50000)\n"
        "  --rounds NUMBER    rounds of which the median counts (3; quick: 1)\n"
        "  --dir DIR          make the stores in a new directory there (.)\n"
        "  --json FILE        write all figures there\n"
        "  --plots DIR        draw plots there, with gnuplot\n"
        "  -h, --help         show this\n"
        "\n"
        "Stores:",
        stdout);
    print_stores();
    (void)fputs("\n\nWorkloads:\n", stdout);
    print_workloads();
}

static bool parse_number(const char *text, uint64_t max, uint64_t *number_out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 1 ||
        number > max || strchr(text, '-') != NULL) {
        (void)fprintf(stderr,
                      "kvstore_bench: '%s' is no number from 1 to %llu\n",
                      text,
                      (unsigned long long)max);
        return false;
    }
    *number_out = number;
    return true;
}

static bool take(struct bench_options *options, int option)
{
    uint64_t number = 0;
    bool is_fine = true;
    switch (option) {
    case OPTION_QUICK:
        options->is_quick = true;
        break;
    case OPTION_STORES:
        options->stores = optarg;
        break;
    case OPTION_WORKLOADS:
        options->workloads = optarg;
        break;
    case OPTION_KEYS:
        is_fine = parse_number(optarg, 100000000, &options->keys);
        break;
    case OPTION_ROUNDS:
        is_fine = parse_number(optarg, BENCH_ROUND_COUNT_MAX, &number);
        options->rounds = (unsigned)number;
        break;
    case OPTION_DIR:
        options->dir = optarg;
        break;
    case OPTION_JSON:
        options->json_file = optarg;
        break;
    case OPTION_PLOTS:
        options->plots_dir = optarg;
        break;
    default:
        is_fine = false;
        break;
    }
    return is_fine;
}

int bench_options_parse(struct bench_options *options, int argc, char **argv)
{
    *options = (struct bench_options){.dir = "."};
    int option;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return EXIT_SUCCESS;
        }
        if (!take(options, option)) {
            return 2;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "kvstore_bench: what is '%s'?\n", argv[optind]);
        return 2;
    }
    if (options->keys == 0) {
        options->keys = options->is_quick ? 50000 : 1000000;
    }
    if (options->rounds == 0) {
        options->rounds = options->is_quick ? 1 : 3;
    }
    return -1;
}
