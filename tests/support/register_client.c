/* SPDX-License-Identifier: MIT */

/* A value is its number, a colon, and letters whose count follows from the
 * number. */

#include "register_client.h"

#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define VALUE_MAX 4096
#define LIES_ONE_IN 50
#define NO_VALUE UINT64_MAX /* No set has this value. */

/* Every so many sets are made in the middle of a batch. */
#define BATCH_ONE_IN 3

uint64_t register_random_below(uint64_t *random_state, uint64_t bound)
{
    *random_state ^= *random_state << 13;
    *random_state ^= *random_state >> 7;
    *random_state ^= *random_state << 17;
    return (*random_state >> 11) % bound;
}

static size_t make_key(uint32_t key, char out[32])
{
    return (size_t)snprintf(out, 32, "register-%" PRIu32, key);
}

static size_t make_value(uint64_t number, char out[VALUE_MAX])
{
    size_t size = (size_t)snprintf(out, VALUE_MAX, "%" PRIu64 ":", number);
    size_t letters = number % 61 == 0 ? 3000 : (size_t)(number * 7919 % 97);
    memset(out + size, 'a' + (int)(number % 26), letters);
    return size + letters;
}

/* Returns the number of a whole value, else NO_VALUE. */
static uint64_t read_value(const char *value, size_t size)
{
    char expected[VALUE_MAX];
    uint64_t number = strtoull(value, NULL, 10);
    return make_value(number, expected) == size &&
                   memcmp(value, expected, size) == 0
               ? number
               : NO_VALUE;
}

static enum history_outcome outcome_of(struct register_client *client,
                                       kvstore_status status,
                                       const char *call)
{
    switch (status) {
    case KVSTORE_OK:
        return HISTORY_DONE;
    case KVSTORE_NOT_FOUND:
        return HISTORY_ABSENT;
    case KVSTORE_BUSY:
        return HISTORY_NO_EFFECT;
    case KVSTORE_IO:
        /* Without room for an index a write is refused, and no call fails. */
        if (client->may_be_full &&
            (kvstore_last_error()->system_errno == ENOSPC ||
             kvstore_last_error()->system_errno == 0)) {
            return HISTORY_NO_EFFECT;
        }
        /* fall through */
    default:
        (void)fprintf(stderr,
                      "client %u: %s: %s\n",
                      client->number,
                      call,
                      kvstore_last_error()->message);
        (*client->failures)++;
        return HISTORY_UNKNOWN;
    }
}

static bool lies(struct register_client *client, enum register_twin twin)
{
    return client->twin == twin &&
           register_random_below(&client->random_state, LIES_ONE_IN) == 0;
}

/* Sets a key in a batch with two others, which only this client sets. */
static kvstore_status set_in_batch(const struct register_client *client,
                                   kvstore *store,
                                   const char *name,
                                   size_t name_size,
                                   const char *value,
                                   size_t size)
{
    char first[32];
    char last[32];
    kvstore_batch *batch = NULL;
    int first_size = snprintf(first, sizeof first, "first-%u", client->number);
    int last_size = snprintf(last, sizeof last, "last-%u", client->number);
    kvstore_status status = kvstore_batch_create(&batch);
    if (status == KVSTORE_OK) {
        status = kvstore_batch_set(
            batch, first, (size_t)first_size, value, size / 2, 0);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_batch_set(batch, name, name_size, value, size, 0);
    }
    if (status == KVSTORE_OK) {
        status =
            size % 2 == 0
                ? kvstore_batch_set(batch, last, (size_t)last_size, value, 1, 0)
                : kvstore_batch_remove(batch, last, (size_t)last_size);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(store, batch);
    }
    kvstore_batch_free(batch);
    return status;
}

static bool set_one(struct register_client *client,
                    kvstore *store,
                    uint32_t key)
{
    char name[32];
    char value[VALUE_MAX];
    size_t name_size = make_key(key, name);
    struct history_record *record = history_begin(
        client->history, client->number, key, LINEARIZABILITY_SET);
    if (record == NULL) {
        return false;
    }
    kvstore_status status = KVSTORE_OK;
    if (!lies(client, REGISTER_DROPPED_WRITE)) {
        size_t size = make_value(record->value, value);
        status = register_random_below(&client->random_state, BATCH_ONE_IN) == 0
                     ? set_in_batch(client, store, name, name_size, value, size)
                     : kvstore_set(store, name, name_size, value, size);
    }
    client->seen[key] = record->value;
    history_end(client->history, record, outcome_of(client, status, "set"), 0);
    return true;
}

static bool remove_one(struct register_client *client,
                       kvstore *store,
                       uint32_t key)
{
    char name[32];
    size_t name_size = make_key(key, name);
    struct history_record *record = history_begin(
        client->history, client->number, key, LINEARIZABILITY_REMOVE);
    if (record == NULL) {
        return false;
    }
    kvstore_status status = KVSTORE_OK;
    if (!lies(client, REGISTER_FORGOTTEN_REMOVE)) {
        status = kvstore_remove(store, name, name_size);
    }
    client->seen[key] = LINEARIZABILITY_ABSENT;
    history_end(
        client->history, record, outcome_of(client, status, "remove"), 0);
    return true;
}

bool register_client_get(struct register_client *client,
                         const kvstore *store,
                         uint32_t key)
{
    char name[32];
    void *value = NULL;
    size_t size = 0;
    size_t name_size = make_key(key, name);
    struct history_record *record = history_begin(
        client->history, client->number, key, LINEARIZABILITY_GET);
    if (record == NULL) {
        return false;
    }
    kvstore_status status = KVSTORE_OK;
    uint64_t number = client->seen[key];
    if (!lies(client, REGISTER_STALE_CACHE)) {
        status = kvstore_get(store, name, name_size, &value, &size);
        number = status == KVSTORE_OK ? read_value(value, size)
                                      : LINEARIZABILITY_ABSENT;
    }
    client->seen[key] = number;
    history_end(
        client->history, record, outcome_of(client, status, "get"), number);
    kvstore_free(value);
    return true;
}

/* Half of the calls go to one key in eight. */
static uint32_t choose_key(struct register_client *client)
{
    uint64_t bound = client->keys;
    if (register_random_below(&client->random_state, 2) == 0) {
        bound = bound / 8 + 1;
    }
    return (uint32_t)register_random_below(&client->random_state, bound);
}

bool register_client_call(struct register_client *client, kvstore *store)
{
    uint32_t key = choose_key(client);
    uint64_t dice = register_random_below(&client->random_state, 100);
    if (dice < client->sets) {
        return set_one(client, store, key);
    }
    return dice < client->sets + client->removes
               ? remove_one(client, store, key)
               : register_client_get(client, store, key);
}

/* --- Without the library --- */

bool register_client_append(struct register_client *client,
                            const char *log_path,
                            uint32_t key)
{
    char name[32];
    char value[VALUE_MAX];
    (void)make_key(key, name);
    struct history_record *record = history_begin(
        client->history, client->number, key, LINEARIZABILITY_SET);
    if (record == NULL) {
        return false;
    }
    size_t size = make_value(record->value, value);
    FILE *file = fopen(log_path, "a");
    if (file == NULL ||
        fprintf(file,
                "{\"Set\":{\"key\":\"%s\",\"val\":\"%.*s\"}}\n",
                name,
                (int)size,
                value) < 0 ||
        fclose(file) != 0) {
        scratch_die(log_path);
    }
    history_end(client->history, record, HISTORY_DONE, 0);
    return true;
}

/* Runs a command, and reads what it prints, with one NUL after it. Returns its
 * exit status. */
static int run(const struct register_client *client,
               char **words,
               char *output,
               size_t room,
               size_t *size_out)
{
    int ends[2];
    pid_t pid = 0;
    int status = 0;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1) != 0 ||
        posix_spawn_file_actions_addclose(&actions, ends[0]) != 0 ||
        posix_spawn_file_actions_addclose(&actions, ends[1]) != 0 ||
        /* A full disk is expected. */
        (client->may_be_full &&
         posix_spawn_file_actions_addopen(
             &actions, 2, "/dev/null", O_WRONLY, 0) != 0) ||
        posix_spawn(&pid, words[0], &actions, NULL, words, environ) != 0) {
        scratch_die(words[0]);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    *size_out = 0;
    for (ssize_t part = 1; part > 0 && *size_out < room - 1;) {
        part = read(ends[0], output + *size_out, room - 1 - *size_out);
        *size_out += part > 0 ? (size_t)part : 0;
    }
    output[*size_out] = '\0';
    (void)close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return -1;
    }
    return WEXITSTATUS(status);
}

static enum history_outcome outcome_of_command(struct register_client *client,
                                               int status,
                                               const char *command)
{
    switch (status) {
    case 0:
        return HISTORY_DONE;
    case 1:
        return HISTORY_ABSENT;
    case 5:
        return HISTORY_NO_EFFECT;
    default:
        if (status == 3 && client->may_be_full) {
            return HISTORY_NO_EFFECT;
        }
        (void)fprintf(stderr, "%s ended with status %d\n", command, status);
        (*client->failures)++;
        return HISTORY_UNKNOWN;
    }
}

static enum linearizability_kind choose_kind(struct register_client *client)
{
    uint64_t dice = register_random_below(&client->random_state, 100);
    if (dice < client->sets) {
        return LINEARIZABILITY_SET;
    }
    return dice < client->sets + client->removes ? LINEARIZABILITY_REMOVE
                                                 : LINEARIZABILITY_GET;
}

bool register_client_command(struct register_client *client,
                             const char *program,
                             const char *directory)
{
    char name[32];
    char value[VALUE_MAX] = "";
    char output[VALUE_MAX];
    size_t size = 0;
    char words[6][16] = {"-q", "--timeout", "1", "-d"};
    uint32_t key = choose_key(client);
    enum linearizability_kind kind = choose_kind(client);
    (void)make_key(key, name);
    struct history_record *record =
        history_begin(client->history, client->number, key, kind);
    if (record == NULL) {
        return false;
    }
    (void)snprintf(words[4],
                   sizeof words[4],
                   "%s",
                   kind == LINEARIZABILITY_SET   ? "set"
                   : kind == LINEARIZABILITY_GET ? "get"
                                                 : "rm");
    if (kind == LINEARIZABILITY_SET) {
        value[make_value(record->value, value)] = '\0';
    }
    char *all[] = {(char *)(uintptr_t)program,
                   words[0],
                   words[1],
                   words[2],
                   words[3],
                   (char *)(uintptr_t)directory,
                   words[4],
                   name,
                   kind == LINEARIZABILITY_SET ? value : NULL,
                   NULL};
    int status = run(client, all, output, sizeof output, &size);
    uint64_t number = LINEARIZABILITY_ABSENT;
    if (kind == LINEARIZABILITY_GET && status == 0) {
        /* Without the newline that the command adds. */
        size -= size > 0 ? 1 : 0;
        output[size] = '\0';
        number = read_value(output, size);
    }
    history_end(client->history,
                record,
                outcome_of_command(client, status, words[4]),
                number);
    return true;
}
