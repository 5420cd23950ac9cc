/* SPDX-License-Identifier: MIT */

/* Keeps stores open and does with them what each line of its input says, for
 * scripts that need a handle that stays open: kept_open always|none DIR...
 *
 *   use N                           goes on with the Nth directory, from 0
 *   set KEY VALUE, get KEY, rm KEY
 *   fill NAME FIRST COUNT SIZE      sets NAME-FIRST and so on, until one fails
 *   check NAME FIRST COUNT SIZE     gets them until one is not as it was set
 *   keys, compact
 *
 * Each line is answered by one: "ok", and what was asked for, or "failed" and a
 * reason; fill and check report in between how many they have done. */

#include "kvstore.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORES_MAX 4
#define VALUE_SIZE_MAX 65536L

static kvstore *stores[STORES_MAX];
static int store_count;
static kvstore *store;

static void answer(kvstore_status status)
{
    if (status == KVSTORE_OK) {
        (void)puts("ok");
    } else {
        (void)printf("failed %s\n",
                     status == KVSTORE_NOT_FOUND
                         ? "key not found"
                         : kvstore_last_error()->message);
    }
}

static void answer_count(long count, bool is_all, const char *reason)
{
    (void)printf("%s %ld%s%s\n",
                 is_all ? "ok" : "failed",
                 count,
                 is_all ? "" : " ",
                 is_all ? "" : reason);
}

static void get(const char *key)
{
    void *value = NULL;
    size_t size = 0;
    kvstore_status status = kvstore_get(store, key, strlen(key), &value, &size);
    if (status == KVSTORE_OK) {
        (void)printf("ok %s\n", (const char *)value);
    } else {
        answer(status);
    }
    kvstore_free(value);
}

/* Makes the value of a number: any SIZE bytes that no other number has. */
static void make_value(char *value, long number, long size)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%ld.", number);
    for (long i = 0; i < size; i++) {
        value[i] = text[(size_t)i % strlen(text)];
    }
}

static bool is_there(const char *key, const char *value, long size)
{
    void *found = NULL;
    size_t found_size = 0;
    bool is_good = kvstore_get(store, key, strlen(key), &found, &found_size) ==
                       KVSTORE_OK &&
                   found_size == (size_t)size &&
                   memcmp(found, value, found_size) == 0;
    kvstore_free(found);
    return is_good;
}

static void do_many(bool is_fill, const char *name, const long numbers[3])
{
    static char value[VALUE_SIZE_MAX];
    long size = numbers[2] > VALUE_SIZE_MAX ? VALUE_SIZE_MAX : numbers[2];
    bool is_good = true;
    long done = 0;
    for (; done < numbers[1]; done++) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s-%ld", name, numbers[0] + done);
        make_value(value, numbers[0] + done, size);
        is_good =
            is_fill
                ? kvstore_set(store, key, strlen(key), value, (size_t)size) ==
                      KVSTORE_OK
                : is_there(key, value, size);
        if (!is_good) {
            break;
        }
    }
    answer_count(done,
                 is_good,
                 is_fill ? kvstore_last_error()->message : "is not as set");
}

static void obey(char **words, int count)
{
    const char *what = count > 0 ? words[0] : "";
    const char *key = count > 1 ? words[1] : "";
    if (strcmp(what, "set") == 0 && count == 3) {
        answer(
            kvstore_set(store, key, strlen(key), words[2], strlen(words[2])));
    } else if (strcmp(what, "get") == 0 && count == 2) {
        get(key);
    } else if (strcmp(what, "rm") == 0 && count == 2) {
        answer(kvstore_remove(store, key, strlen(key)));
    } else if ((strcmp(what, "fill") == 0 || strcmp(what, "check") == 0) &&
               count == 5) {
        const long numbers[3] = {strtol(words[2], NULL, 10),
                                 strtol(words[3], NULL, 10),
                                 strtol(words[4], NULL, 10)};
        do_many(what[0] == 'f', key, numbers);
    } else if (strcmp(what, "compact") == 0) {
        answer(kvstore_compact(store));
    } else if (strcmp(what, "keys") == 0) {
        kvstore_stats stats = {0};
        kvstore_status status = kvstore_get_stats(store, &stats);
        answer_count((long)stats.keys, status == KVSTORE_OK, "no stats");
    } else if (strcmp(what, "use") == 0 && count == 2 &&
               strtol(key, NULL, 10) < store_count) {
        store = stores[strtol(key, NULL, 10)];
        answer(KVSTORE_OK);
    } else {
        (void)puts("failed not understood");
    }
    (void)fflush(stdout);
}

static bool open_stores(char **arguments)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = strcmp(arguments[0], "none") == 0 ? KVSTORE_SYNC_NONE
                                                     : KVSTORE_SYNC_ALWAYS;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    options.lock_timeout_ms = 60000;
    for (int i = 1; arguments[i] != NULL && store_count < STORES_MAX; i++) {
        if (kvstore_open(arguments[i], &options, &stores[store_count]) !=
            KVSTORE_OK) {
            answer(kvstore_last_error()->status);
            return false;
        }
        store_count++;
    }
    store = stores[0];
    return store_count > 0;
}

int main(int argc, char **argv)
{
    char line[1024];
    if (argc < 3 || !open_stores(argv + 1)) {
        return EXIT_FAILURE;
    }
    answer(KVSTORE_OK);
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[6] = {NULL};
        int count = 0;
        char *rest = NULL;
        for (char *word = strtok_r(line, " \n", &rest);
             word != NULL && count < 6;
             word = strtok_r(NULL, " \n", &rest)) {
            words[count++] = word;
        }
        obey(words, count);
    }
    for (int i = 0; i < store_count; i++) {
        kvstore_close(stores[i]);
    }
    return EXIT_SUCCESS;
}
