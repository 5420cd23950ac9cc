/* SPDX-License-Identifier: MIT */

/* Checks what happens where room ends after any number of bytes of an append: a
 * limit on file sizes lets exactly so many be written, and no more. A set, a
 * batch and an import are there as a whole, or fail with nothing changed; a
 * beginning that nobody has cut off is nothing, too; and with more room all
 * works again.
 *
 * KVSTORE_EVERY_BYTE_STEP: try every so many bytes of 0 to 8192; 389 by default,
 * 1 tries all. */

#include "kvstore.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOM_MAX 8192
#define KEYS 4
#define FILLER_SIZE 60000 /* The log is larger than its index. */

enum kind { SET, EXCLUSIVE_SET, BATCH, EXCLUSIVE_BATCH, KINDS };

static const char *const kind_names[KINDS] = {"sets",
                                              "sets of an exclusive handle",
                                              "batches",
                                              "exclusive batches"};

static char path[SCRATCH_PATH_SIZE];
static char *old_log;
static size_t old_size;
static char filler[FILLER_SIZE];
static unsigned long step;

/* --- The store --- */

static void limit_to(uint64_t bytes)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)bytes,
                           .rlim_max = RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void no_limit(void)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY,
                           .rlim_max = RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static kvstore *open_store(bool is_exclusive)
{
    kvstore *store = NULL;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    options.exclusive = is_exclusive;
    assert_int_equal(kvstore_open(path, &options, &store), KVSTORE_OK);
    return store;
}

static void set(kvstore *store, const char *key, const void *value, size_t size)
{
    assert_int_equal(kvstore_set(store, key, strlen(key), value, size),
                     KVSTORE_OK);
}

/* Key 0 to 3, in a log that is larger than its index. */
static int make_store(void **state)
{
    (void)state;
    scratch_make(path);
    memset(filler, 'f', sizeof filler);
    step = scratch_number("KVSTORE_EVERY_BYTE_STEP", 389);
    kvstore *store = open_store(false);
    set(store, "filler", filler, sizeof filler);
    for (int i = 0; i < KEYS; i++) {
        char key[2] = {(char)('0' + i), '\0'};
        set(store, key, "old", 3);
    }
    kvstore_close(store);
    old_log = scratch_read(path, "store.log", &old_size);
    return 0;
}

static int remove_store(void **state)
{
    (void)state;
    free(old_log);
    scratch_remove(path);
    return 0;
}

/* The store as it was, followed by some bytes. */
static void lay_out(const char *more, size_t more_size)
{
    char *log = malloc(old_size + more_size);
    assert_non_null(log);
    memcpy(log, old_log, old_size);
    if (more_size > 0) {
        memcpy(log + old_size, more, more_size);
    }
    scratch_empty(path);
    scratch_write(path, "store.log", log, old_size + more_size);
    free(log);
}

/* --- Changes --- */

/* Sets 1 in one line of some 6000 bytes; or 0 and 1, and removes 2. */
static kvstore_status change(kvstore *store, enum kind kind)
{
    if (kind == SET || kind == EXCLUSIVE_SET) {
        return kvstore_set(store, "1", 1, filler, 6000);
    }
    kvstore_batch *batch = NULL;
    assert_int_equal(kvstore_batch_create(&batch), KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(batch, "0", 1, filler, 3000, 0),
                     KVSTORE_OK);
    assert_int_equal(kvstore_batch_set(batch, "1", 1, filler, 3000, 0),
                     KVSTORE_OK);
    assert_int_equal(kvstore_batch_remove(batch, "2", 1), KVSTORE_OK);
    kvstore_status status = kvstore_write(store, batch);
    int error = kvstore_last_error()->system_errno;
    kvstore_batch_free(batch);
    assert_true(status == KVSTORE_OK || error == EFBIG);
    return status;
}

/* What a key has: 'o' for the old value, 'n' for a new one, '-' for none. */
static char letter_of(const kvstore *store, int number)
{
    char key = (char)('0' + number);
    void *value = NULL;
    size_t size = 0;
    kvstore_status status = kvstore_get(store, &key, 1, &value, &size);
    char letter = '?';
    if (status == KVSTORE_NOT_FOUND) {
        letter = '-';
    } else if (status == KVSTORE_OK && size == 3 &&
               memcmp(value, "old", 3) == 0) {
        letter = 'o';
    } else if (status == KVSTORE_OK && size >= 2000 &&
               memcmp(value, filler, size) == 0) {
        letter = 'n';
    }
    kvstore_free(value);
    return letter;
}

static void check_keys(const kvstore *store, const char *wanted)
{
    char found[KEYS + 1] = "";
    for (int i = 0; i < KEYS; i++) {
        found[i] = letter_of(store, i);
    }
    assert_string_equal(found, wanted);
}

/* All sees the same, a later set works, and nothing is damaged. */
static void check_store(kvstore *store, const char *wanted)
{
    kvstore *other = open_store(false);
    check_keys(other, wanted);
    kvstore_close(other);
    check_keys(store, wanted);
    set(store, "later", "there", 5);
    check_keys(store, wanted);
    assert_int_equal(kvstore_verify(store, NULL, NULL), KVSTORE_OK);
}

static const char *after(enum kind kind, bool is_done)
{
    bool is_batch = kind == BATCH || kind == EXCLUSIVE_BATCH;
    return !is_done ? "oooo" : is_batch ? "nn-o" : "onoo";
}

/* --- Trials --- */

/* What a change appends, if there is room. The caller frees it. */
static char *appended(enum kind kind, size_t *size_out)
{
    size_t size = 0;
    lay_out(NULL, 0);
    kvstore *store = open_store(false);
    assert_int_equal(change(store, kind), KVSTORE_OK);
    kvstore_close(store);
    char *log = scratch_read(path, "store.log", &size);
    assert_non_null(log);
    assert_true(size > old_size && size - old_size <= ROOM_MAX);
    *size_out = size - old_size;
    memmove(log, log + old_size, *size_out);
    return log;
}

static void try_room(enum kind kind, size_t room, size_t needed)
{
    size_t size = 0;
    bool is_exclusive = kind == EXCLUSIVE_SET || kind == EXCLUSIVE_BATCH;
    lay_out(NULL, 0);
    kvstore *store = open_store(is_exclusive);
    limit_to(old_size + room);
    kvstore_status status = change(store, kind);
    bool is_done = status == KVSTORE_OK;
    if (!is_done) {
        assert_int_equal(status, KVSTORE_IO);
    }
    assert_true(is_done == (room >= needed));
    if (!is_done && !is_exclusive) {
        char *log = scratch_read(path, "store.log", &size);
        assert_int_equal(size, old_size);
        assert_memory_equal(log, old_log, old_size);
        free(log);
    }
    check_keys(store, after(kind, is_done));
    no_limit();
    if (is_exclusive) {
        check_keys(store, after(kind, is_done));
        set(store, "soon", "there", 5);
        kvstore_close(store);
        store = open_store(false);
    }
    check_store(store, after(kind, is_done));
    kvstore_close(store);
}

/* A writer was killed, or the disk could not even cut. Only a LF may lack. */
static void try_beginning(enum kind kind,
                          const char *bytes,
                          size_t size,
                          size_t needed)
{
    lay_out(bytes, size);
    kvstore *store = open_store(false);
    check_store(store, after(kind, size + 1 >= needed));
    kvstore_close(store);
}

static void room_for_any_part_of_a_change_is_none(void **state)
{
    (void)state;
    for (enum kind kind = SET; kind < KINDS; kind++) {
        size_t needed = 0;
        unsigned long trials = 0;
        char *bytes = appended(kind, &needed);
        for (size_t room = 0; room <= ROOM_MAX; room += step) {
            try_room(kind, room, needed);
            trials++;
        }
        try_room(kind, needed - 1, needed);
        try_room(kind, needed, needed);
        printf("%lu %s where room ends\n", trials + 2, kind_names[kind]);
        free(bytes);
    }
}

static void any_beginning_of_a_change_is_nothing(void **state)
{
    (void)state;
    unsigned long trials = 0;
    for (enum kind kind = SET; kind < KINDS; kind += 2) {
        size_t needed = 0;
        char *bytes = appended(kind, &needed);
        for (size_t size = 0; size < needed; size += step) {
            try_beginning(kind, bytes, size, needed);
            trials++;
        }
        for (size_t size = needed - 3; size <= needed; size++) {
            try_beginning(kind, bytes, size, needed);
            trials++;
        }
        free(bytes);
    }
    printf("%lu beginnings\n", trials);
}

/* --- The command --- */

static void make_records(void)
{
    char text[8192];
    int size = snprintf(text,
                        sizeof text,
                        "{\"key\":\"0\",\"value\":\"%.2000s\"}\n"
                        "{\"key\":\"1\",\"value\":\"%.2000s\"}\n"
                        "{\"key\":\"3\",\"value\":\"%.2000s\"}\n",
                        filler,
                        filler,
                        filler);
    assert_true(size > 0 && (size_t)size < sizeof text);
    scratch_write(path, "records", text, (size_t)size);
}

/* Starts the command with a limit; returns its status. */
static int run_command(const char *program, const char *word, uint64_t limit)
{
    char records[SCRATCH_PATH_SIZE + 16];
    int status = 0;
    (void)snprintf(records, sizeof records, "%s/records", path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limits = {.rlim_cur = (rlim_t)limit,
                                .rlim_max = (rlim_t)limit};
        int in = open(records, O_RDONLY);
        int out = open("/dev/null", O_WRONLY);
        if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
            dup2(out, 2) < 0 || setrlimit(RLIMIT_FSIZE, &limits) != 0) {
            _exit(126);
        }
        (void)execl(
            program, program, "--sync", "none", "-d", path, word, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The commands that write many at once. A batch is one change; an import may
 * have got to a whole record. */
static void room_for_a_part_of_a_command_is_told(void **state)
{
    (void)state;
    static const char *const words[] = {"batch", "import"};
    const char *program = getenv("KVSTORE");
    unsigned long done = 0;
    unsigned long refused = 0;
    if (program == NULL) {
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        for (size_t room = 0; room <= ROOM_MAX; room += step) {
            lay_out(NULL, 0);
            kvstore_close(open_store(false));
            make_records();
            int status = run_command(program, words[i], old_size + room);
            assert_true(status == 0 || status == 3);
            done += status == 0;
            refused += status == 3;
            kvstore *store = open_store(false);
            if (status == 0) {
                check_store(store, "nnon");
            } else if (i == 0) {
                check_store(store, "oooo");
            } else {
                bool is_part = letter_of(store, 0) == 'n';
                bool is_most = letter_of(store, 1) == 'n';
                check_store(store,
                            is_most   ? "nnoo"
                            : is_part ? "nooo"
                                      : "oooo");
            }
            kvstore_close(store);
        }
    }
    assert_true(done > 0 && refused > 0);
    printf("%lu commands did it, %lu were refused\n", done, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            room_for_any_part_of_a_change_is_none, make_store, remove_store),
        cmocka_unit_test_setup_teardown(
            any_beginning_of_a_change_is_nothing, make_store, remove_store),
        cmocka_unit_test_setup_teardown(
            room_for_a_part_of_a_command_is_told, make_store, remove_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
