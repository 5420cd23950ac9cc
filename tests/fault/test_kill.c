/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged write is there after processes were killed at
 * any moment, and after they overlapped. Writers report through a pipe what was
 * acknowledged; each one's sequence of operations is a function of its number,
 * so the pipe says it all. KVSTORE_KILL_CYCLES makes it longer (300). */

#include "any_status.h"
#include "fault_table.h"
#include "kvstore.h"
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WRITERS 4
#define KEYS 24 /* Per writer. */
#define TEXT_SIZE 160

/* --- What a writer does --- */

struct operation {
    bool is_remove;
    char key[32];
    char value[TEXT_SIZE];
};

static unsigned checksum(const char *key, const char *text, size_t size)
{
    unsigned sum = 2166136261u;
    for (size_t i = 0; key[i] != '\0'; i++) {
        sum = (sum ^ (unsigned char)key[i]) * 16777619u;
    }
    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ (unsigned char)text[i]) * 16777619u;
    }
    return sum;
}

/* Makes a value that shows whether it is whole and belongs to its key. */
static void make_value(const char *key, int writer, uint64_t number, char *out)
{
    int size = snprintf(out,
                        TEXT_SIZE - 10,
                        "%d:%llu:%.*s",
                        writer,
                        (unsigned long long)number,
                        (int)(number % 90),
                        "................................................"
                        "................................................");
    (void)snprintf(out + size, 10, "#%08x", checksum(key, out, (size_t)size));
}

static bool is_whole(const char *key, const char *value)
{
    const char *mark = strrchr(value, '#');
    char expected[10];
    if (mark == NULL) {
        return false;
    }
    (void)snprintf(expected,
                   sizeof expected,
                   "#%08x",
                   checksum(key, value, (size_t)(mark - value)));
    return strcmp(mark, expected) == 0;
}

static int key_of(uint64_t number)
{
    return (int)(number % KEYS);
}

static void make_key(int writer, int key, char *out)
{
    (void)snprintf(out, 32, "w%d-%d", writer, key);
}

static struct operation make_operation(int writer, uint64_t number)
{
    struct operation operation = {.is_remove = number % 7 == 6};
    make_key(writer, key_of(number), operation.key);
    make_value(operation.key, writer, number, operation.value);
    return operation;
}

/* --- Processes --- */

struct report {
    uint64_t number; /* The acknowledged operation's. */
    int64_t failure; /* A status, or 0. */
};

struct worker {
    const char *path;
    int pipe_fd; /* For reports. */
    int writer;
    uint64_t number;     /* The first one. */
    unsigned lies_every; /* One in this many is acknowledged and not done; 0:
                            none. */
};

static void tell(int fd, uint64_t number, int failure)
{
    struct report report = {.number = number, .failure = failure};
    if (write(fd, &report, sizeof report) != (ssize_t)sizeof report) {
        _exit(EXIT_FAILURE);
    }
}

static void pause_us(long us)
{
    struct timespec duration = {.tv_sec = us / 1000000,
                                .tv_nsec = us % 1000000 * 1000};
    (void)nanosleep(&duration, NULL);
}

static kvstore *open_or_exit(const struct worker *worker, int sync)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync = sync;
    options.lock_timeout_ms = 60000;
    options.compaction_threshold = (uint64_t)256 << 10;
    kvstore_status status = kvstore_open(worker->path, &options, &store);
    if (status != KVSTORE_OK) {
        tell(worker->pipe_fd, 0, (int)status);
        _exit(EXIT_FAILURE);
    }
    return store;
}

static kvstore_status apply(kvstore *store, const struct operation *operation)
{
    size_t key_size = strlen(operation->key);
    kvstore_status status =
        operation->is_remove ? kvstore_remove(store, operation->key, key_size)
                             : kvstore_set(store,
                                           operation->key,
                                           key_size,
                                           operation->value,
                                           strlen(operation->value));
    return status == KVSTORE_NOT_FOUND ? KVSTORE_OK : status;
}

/* Writes forever; opens anew now and then. */
static void write_on(const struct worker *worker)
{
    int sync =
        worker->writer % 2 == 0 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    kvstore *store = open_or_exit(worker, sync);
    for (uint64_t number = worker->number;; number++) {
        struct operation operation = make_operation(worker->writer, number);
        bool is_lie =
            worker->lies_every != 0 && number % worker->lies_every == 0;
        kvstore_status status = is_lie ? KVSTORE_OK : apply(store, &operation);
        tell(worker->pipe_fd, number, (int)status);
        if (number % 64 == 63) {
            kvstore_close(store);
            store = open_or_exit(worker, sync);
        }
    }
}

/* Does the same with the command, one process per operation. */
static void write_by_command(const struct worker *worker)
{
    const char *program = getenv("KVSTORE");
    for (uint64_t number = worker->number;; number++) {
        struct operation operation = make_operation(worker->writer, number);
        pid_t child = fork();
        if (child == 0 && program != NULL) {
            const char *verb = operation.is_remove ? "rm" : "set";
            (void)execl(program,
                        program,
                        "-d",
                        worker->path,
                        verb,
                        operation.is_remove ? "-f" : "--",
                        operation.key,
                        operation.is_remove ? NULL : operation.value,
                        (char *)NULL);
            _exit(127);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child) {
            _exit(EXIT_FAILURE);
        }
        tell(worker->pipe_fd,
             number,
             WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : status);
    }
}

static void compact_on(const struct worker *worker)
{
    kvstore *store = open_or_exit(worker, KVSTORE_SYNC_ALWAYS);
    for (;;) {
        pause_us(1500);
        kvstore_status status = kvstore_compact(store);
        if (status != KVSTORE_OK) {
            tell(worker->pipe_fd, 0, (int)status);
        }
    }
}

/* Checks that every value is whole and its key's. */
static void read_on(const struct worker *worker)
{
    kvstore *store = open_or_exit(worker, KVSTORE_SYNC_NONE);
    for (uint64_t i = 0;; i++) {
        char key[32];
        void *value = NULL;
        size_t size = 0;
        make_key((int)(i % WRITERS), (int)(i / WRITERS % KEYS), key);
        kvstore_status status =
            kvstore_get(store, key, strlen(key), &value, &size);
        if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
            tell(worker->pipe_fd, i, (int)status);
        }
        if (status == KVSTORE_OK && !is_whole(key, value)) {
            tell(worker->pipe_fd, i, 1000);
        }
        kvstore_free(value);
    }
}

struct process {
    pid_t pid;
    int pipe_fd;
};

/* Starts a worker in a process group of its own. */
static struct process start(void (*run)(const struct worker *),
                            struct worker worker)
{
    int ends[2];
    if (pipe(ends) != 0) {
        scratch_die("pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        scratch_die("fork");
    }
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)close(ends[0]);
        worker.pipe_fd = ends[1];
        run(&worker);
        _exit(EXIT_SUCCESS);
    }
    (void)setpgid(pid, pid);
    (void)close(ends[1]);
    return (struct process){.pid = pid, .pipe_fd = ends[0]};
}

/* Reads reports until all processes that could send one are gone. Returns the
 * number of failures; last_out is the last number that was acknowledged. */
static unsigned drain(struct process process, uint64_t *last_out)
{
    unsigned failures = 0;
    struct report report;
    while (read(process.pipe_fd, &report, sizeof report) ==
           (ssize_t)sizeof report) {
        if (report.failure != 0) {
            failures++;
            (void)fprintf(stderr,
                          "operation %llu failed: %lld\n",
                          (unsigned long long)report.number,
                          (long long)report.failure);
        } else {
            *last_out = report.number;
        }
    }
    (void)close(process.pipe_fd);
    /* A command that a worker has started is this process's child now, and may
     * still hold the lock while it dies. */
    while (waitpid(-process.pid, NULL, 0) > 0) {
    }
    return failures;
}

/* --- What must be there --- */

struct expected {
    uint64_t next[WRITERS];         /* The number to go on with. */
    uint64_t newest[WRITERS][KEYS]; /* Of the operation that is in effect; 0:
                                       none yet. */
};

static bool holds(const char *value, int writer, uint64_t number)
{
    struct operation operation = make_operation(writer, number);
    if (number == 0 || operation.is_remove) {
        return value == NULL;
    }
    return value != NULL && strcmp(value, operation.value) == 0;
}

/* Takes what a writer acknowledged into account, and compares. The operation
 * after the last one may have happened or not; from now on that is settled. */
static unsigned check_writer(const kvstore *store,
                             struct expected *expected,
                             int writer,
                             uint64_t last)
{
    unsigned lost = 0;
    for (uint64_t i = expected->next[writer]; i <= last; i++) {
        expected->newest[writer][key_of(i)] = i;
    }
    if (last < expected->next[writer]) {
        last = expected->next[writer] - 1;
    }
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        void *value = NULL;
        size_t size = 0;
        make_key(writer, i, key);
        kvstore_status status =
            kvstore_get(store, key, strlen(key), &value, &size);
        bool is_newer = i == key_of(last + 1) && holds(value, writer, last + 1);
        if (is_newer) {
            expected->newest[writer][i] = last + 1;
        } else if ((status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) ||
                   !holds(value, writer, expected->newest[writer][i])) {
            lost++;
        }
        kvstore_free(value);
    }
    expected->next[writer] = last + 2;
    return lost;
}

static unsigned check_store(const char *path,
                            struct expected *expected,
                            const uint64_t *last)
{
    kvstore *store = NULL;
    kvstore_stats stats;
    if (kvstore_open(path, NULL, &store) != KVSTORE_OK) {
        return 1;
    }
    unsigned lost = 0;
    for (int i = 0; i < WRITERS; i++) {
        lost += check_writer(store, expected, i, last[i]);
    }
    bool is_sound = kvstore_get_stats(store, &stats) == KVSTORE_OK &&
                    stats.damaged_records == 0 &&
                    stats.live_bytes + stats.stale_bytes + stats.blank_bytes ==
                        stats.log_bytes;
    kvstore_close(store);
    return lost + (is_sound ? 0 : 1);
}

/* --- Killing --- */

static uint64_t random_bits(void)
{
    static uint64_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Runs one cycle: all at once, then all dead, then the check. */
static unsigned kill_once(const char *path,
                          struct expected *expected,
                          unsigned lies_every,
                          uint64_t *acknowledged)
{
    struct process processes[WRITERS + 2];
    uint64_t last[WRITERS] = {0};
    uint64_t none = 0;
    unsigned failures = 0;
    for (int i = 0; i < WRITERS; i++) {
        bool is_command = i == WRITERS - 1 && getenv("KVSTORE") != NULL;
        processes[i] = start(is_command ? write_by_command : write_on,
                             (struct worker){.path = path,
                                             .writer = i,
                                             .number = expected->next[i],
                                             .lies_every = lies_every});
    }
    processes[WRITERS] = start(compact_on, (struct worker){.path = path});
    processes[WRITERS + 1] = start(read_on, (struct worker){.path = path});
    pause_us(2000 + (long)(random_bits() % 40000));
    for (int i = 0; i < WRITERS + 2; i++) {
        (void)kill(-processes[i].pid, SIGKILL);
    }
    for (int i = 0; i < WRITERS; i++) {
        failures += drain(processes[i], &last[i]);
        if (last[i] >= expected->next[i]) {
            *acknowledged += last[i] - expected->next[i] + 1;
        }
    }
    failures += drain(processes[WRITERS], &none);
    failures += drain(processes[WRITERS + 1], &none);
    return failures + check_store(path, expected, last);
}

static void begin(struct expected *expected)
{
    memset(expected, 0, sizeof *expected);
    for (int i = 0; i < WRITERS; i++) {
        expected->next[i] = 1;
    }
}

static void acknowledged_writes_survive_kills(void **state)
{
    const char *path = *state;
    unsigned long cycles = scratch_number("KVSTORE_KILL_CYCLES", 300);
    uint64_t acknowledged = 0;
    unsigned lost = 0;
    struct expected expected;
    begin(&expected);

    for (unsigned long i = 0; i < cycles; i++) {
        lost += kill_once(path, &expected, 0, &acknowledged);
    }

    (void)printf("%lu cycles, %llu acknowledged\n",
                 cycles,
                 (unsigned long long)acknowledged);
    assert_true(acknowledged > cycles);
    assert_int_equal(lost, 0);
}

/* The check must be able to fail. */
static void lying_writer_is_found_out(void **state)
{
    const char *path = *state;
    uint64_t acknowledged = 0;
    unsigned lost = 0;
    struct expected expected;
    begin(&expected);

    for (int i = 0; i < 50 && lost == 0; i++) {
        lost += kill_once(path, &expected, 10, &acknowledged);
    }

    assert_true(lost > 0);
}

/* --- Overlapping --- */

#define SHARED_KEYS 5
#define ROUNDS 300

static void make_shared_key(uint64_t number, char *out)
{
    (void)snprintf(out, 32, "shared-%d", (int)(number % SHARED_KEYS));
}

/* Writes its own keys and shared ones in turn, and comes to an end. */
static void write_rounds(const struct worker *worker)
{
    kvstore *store = open_or_exit(worker, KVSTORE_SYNC_ALWAYS);
    for (uint64_t number = 1; number <= ROUNDS; number++) {
        struct operation operation = make_operation(worker->writer, number);
        kvstore_status status = apply(store, &operation);
        if (status == KVSTORE_OK) {
            operation.is_remove = false;
            make_shared_key(number, operation.key);
            make_value(operation.key, worker->writer, number, operation.value);
            status = apply(store, &operation);
        }
        tell(worker->pipe_fd, number, (int)status);
    }
    kvstore_close(store);
}

/* Checks that each shared key holds what some writer wrote last there. */
static unsigned check_shared(const char *path)
{
    unsigned lost = 0;
    kvstore *store = NULL;
    if (kvstore_open(path, NULL, &store) != KVSTORE_OK) {
        return 1;
    }
    for (uint64_t i = 0; i < SHARED_KEYS; i++) {
        char key[32];
        char expected[TEXT_SIZE];
        void *value = NULL;
        size_t size = 0;
        bool is_found = false;
        uint64_t newest = ROUNDS - (ROUNDS - i) % SHARED_KEYS;
        make_shared_key(newest, key);
        (void)kvstore_get(store, key, strlen(key), &value, &size);
        for (int writer = 0; writer < WRITERS && value != NULL; writer++) {
            make_value(key, writer, newest, expected);
            is_found |= strcmp(value, expected) == 0;
        }
        lost += is_found ? 0 : 1;
        kvstore_free(value);
    }
    kvstore_close(store);
    return lost;
}

static unsigned overlap(const char *path)
{
    struct process writers[WRITERS];
    uint64_t last[WRITERS] = {0};
    uint64_t none = 0;
    unsigned failures = 0;
    struct expected expected;
    begin(&expected);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] =
            start(write_rounds, (struct worker){.path = path, .writer = i});
    }
    struct process others[] = {start(compact_on, (struct worker){.path = path}),
                               start(read_on, (struct worker){.path = path})};
    for (int i = 0; i < WRITERS; i++) {
        failures += drain(writers[i], &last[i]);
        failures += last[i] == ROUNDS ? 0 : 1;
    }
    for (int i = 0; i < 2; i++) {
        (void)kill(-others[i].pid, SIGKILL);
        failures += drain(others[i], &none);
    }
    return failures + check_store(path, &expected, last) + check_shared(path);
}

static void overlapping_writers_lose_nothing(void **state)
{
    assert_int_equal(overlap(*state), 0);
}

static int no_flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    return 0;
}

/* The check must be able to fail. */
static void missing_lock_is_found_out(void **state)
{
    const char *path = *state;
    struct kv_io_table unlocked = *kv_io_system_table();
    unlocked.flock = no_flock;
    kv_io_swap_table(&unlocked);
    unsigned lost = 0;

    for (int i = 0; i < 20 && lost == 0; i++) {
        scratch_empty(path);
        int saved = dup(STDERR_FILENO);
        (void)!freopen("/dev/null", "w", stderr);
        lost = overlap(path);
        (void)dup2(saved, STDERR_FILENO);
        (void)close(saved);
    }

    kv_io_swap_table(kv_io_system_table());
    assert_true(lost > 0);
}

/* --- Stopped, not dead --- */

/* Takes the lock, reports it, and keeps it. */
static void hold_lock(const struct worker *worker)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.exclusive = true;
    kvstore_status status = kvstore_open(worker->path, &options, &store);
    tell(worker->pipe_fd, 1, (int)status);
    (void)raise(SIGSTOP);
    any_status(kvstore_set(store, "mine", 4, "1", 1));
    kvstore_close(store);
}

static void await_report(struct process process)
{
    struct report report = {0};
    assert_int_equal(read(process.pipe_fd, &report, sizeof report),
                     sizeof report);
    assert_int_equal(report.failure, 0);
    int status = 0;
    assert_int_equal(waitpid(process.pid, &status, WUNTRACED), process.pid);
    assert_true(WIFSTOPPED(status));
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void stopped_holder_is_never_robbed(void **state)
{
    const char *path = *state;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.lock_timeout_ms = 100;
    kvstore *store = NULL;
    uint64_t last = 0;
    struct process holder = start(hold_lock, (struct worker){.path = path});
    await_report(holder);
    assert_int_equal(kvstore_open(path, &options, &store), KVSTORE_OK);

    for (int i = 0; i < 3; i++) {
        int64_t begun_ms = now_ms();
        assert_int_equal(kvstore_set(store, "k", 1, "v", 1), KVSTORE_BUSY);
        assert_true(now_ms() - begun_ms >= 95);
    }
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(kvstore_get(store, "k", 1, &value, &size),
                     KVSTORE_NOT_FOUND);

    (void)kill(holder.pid, SIGCONT);
    (void)drain(holder, &last);
    assert_int_equal(kvstore_set(store, "k", 1, "v", 1), KVSTORE_OK);
    assert_int_equal(kvstore_get(store, "mine", 4, &value, &size), KVSTORE_OK);
    kvstore_free(value);
    kvstore_close(store);
}

static void lock_of_a_killed_holder_is_free_at_once(void **state)
{
    const char *path = *state;
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.lock_timeout_ms = -1;
    kvstore *store = NULL;
    uint64_t last = 0;
    struct process holder = start(hold_lock, (struct worker){.path = path});
    await_report(holder);
    assert_int_equal(kvstore_open(path, &options, &store), KVSTORE_OK);
    assert_int_equal(kvstore_set(store, "k", 1, "v", 1), KVSTORE_BUSY);

    (void)kill(holder.pid, SIGKILL);
    (void)drain(holder, &last);

    assert_int_equal(kvstore_set(store, "k", 1, "v", 1), KVSTORE_OK);
    kvstore_close(store);
}

/* --- Set-up --- */

static int set_up(void **state)
{
    char *path = malloc(SCRATCH_PATH_SIZE);
    if (path == NULL) {
        return -1;
    }
    scratch_make(path);
    *state = path;
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

#define KILL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    const struct CMUnitTest tests[] = {
        KILL_TEST(acknowledged_writes_survive_kills),
        KILL_TEST(lying_writer_is_found_out),
        KILL_TEST(overlapping_writers_lose_nothing),
        KILL_TEST(missing_lock_is_found_out),
        KILL_TEST(stopped_holder_is_never_robbed),
        KILL_TEST(lock_of_a_killed_holder_is_free_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
