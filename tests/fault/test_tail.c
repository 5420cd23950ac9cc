/* SPDX-License-Identifier: MIT */

/* Checks that every acknowledged set is there after an exclusive writer was
 * killed, and what the writer leaves. It copies its lines to the mapped end of
 * the log, or writes them over padding if it is durable. A set is acknowledged
 * by a number in shared memory, which costs so little that many kills hit a
 * copy. KVSTORE_KILL_CYCLES makes it longer (400). */

#include "kvstore.h"
#include "scratch.h"

#include <cjson/cJSON.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS 50
#define LONG_SIZE 40000
#define WARM_UP 64

/* Seen by the test and its children. */
struct board {
    _Atomic uint64_t acknowledged; /* The number of the last set. */
    _Atomic uint64_t reads;
    _Atomic uint64_t complaints;
};

static struct board *board;
static bool is_durable;        /* The writer is. */
static uint64_t padded_cycles; /* Those whose writer left padding, */
static uint64_t torn_cycles;   /* or a line without its beginning. */

static uint64_t random_bits(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void pause_us(long us)
{
    struct timespec duration = {.tv_nsec = us * 1000};
    (void)nanosleep(&duration, NULL);
}

static void complain(const char *what, uint64_t number)
{
    board->complaints++;
    (void)fprintf(stderr,
                  "%s, set %llu: %s\n",
                  what,
                  (unsigned long long)number,
                  kvstore_last_error()->message);
}

/* --- Sets, each known by its number --- */

static void make_key(uint64_t number, char key[16])
{
    (void)snprintf(key, 16, "key-%d", (int)(number % KEYS));
}

/* Makes a value; every fiftieth key holds long ones. */
static size_t make_value(uint64_t number, char *value)
{
    int size = snprintf(value, 32, "%llu:", (unsigned long long)number);
    size_t whole = number % KEYS == 7 ? LONG_SIZE : 100;
    memset(value + size, 'a' + (int)(number % 26), whole - (size_t)size);
    return whole;
}

static kvstore *open_or_exit(const char *path,
                             bool is_exclusive,
                             bool is_reader)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync =
        is_exclusive && is_durable ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    options.exclusive = is_exclusive;
    options.read_only = is_reader;
    options.compaction_threshold = (uint64_t)4 << 20;
    if (kvstore_open(path, &options, &store) != KVSTORE_OK) {
        complain("open failed", 0);
        _exit(EXIT_FAILURE);
    }
    return store;
}

static void write_on(const char *path)
{
    static char value[LONG_SIZE];
    kvstore *store = open_or_exit(path, true, false);
    for (uint64_t number = board->acknowledged + 1;; number++) {
        char key[16];
        make_key(number, key);
        size_t size = make_value(number, value);
        if (kvstore_set(store, key, strlen(key), value, size) != KVSTORE_OK) {
            complain("set failed", number);
            _exit(EXIT_FAILURE);
        }
        board->acknowledged = number;
    }
}

/* Returns what a key holds, as the number of its set; 0: nothing, or nothing
 * sound. */
static uint64_t number_in(const kvstore *store, const char *key)
{
    static char expected[LONG_SIZE];
    void *value = NULL;
    size_t size = 0;
    kvstore_status status = kvstore_get(store, key, strlen(key), &value, &size);
    uint64_t number = status == KVSTORE_OK ? strtoull(value, NULL, 10) : 0;
    if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
        complain("get failed", board->acknowledged);
    } else if (number != 0 && (make_value(number, expected) != size ||
                               memcmp(value, expected, size) != 0)) {
        complain("a wrong value", number);
        number = 0;
    }
    kvstore_free(value);
    return number;
}

/* Checks that a key is never older than what was acknowledged before the
 * read. */
static void read_on(const char *path)
{
    kvstore *store = open_or_exit(path, false, true);
    for (uint64_t i = 0;; i++) {
        char key[16];
        uint64_t known = board->acknowledged;
        uint64_t newest = known - (known + KEYS - i % KEYS) % KEYS;
        make_key(i % KEYS, key);
        if (number_in(store, key) < newest && known >= KEYS) {
            complain("a reader is behind", newest);
        }
        board->reads++;
    }
}

static pid_t start(void (*run)(const char *), const char *path)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        scratch_die("fork");
    }
    if (pid == 0) {
        run(path);
        _exit(EXIT_SUCCESS);
    }
    return pid;
}

static void stop(pid_t pid)
{
    int status = 0;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status)) {
        complain("a child ended by itself", 0);
    }
}

/* --- What is left --- */

static bool is_record(const char *line, size_t size)
{
    cJSON *json = cJSON_ParseWithLength(line, size);
    bool is_object = cJSON_IsObject(json);
    cJSON_Delete(json);
    return is_object;
}

/* True for a killed write over padding: the beginning of a line, and the rest
 * of the padding. */
static bool is_cut_short(const char *line, size_t size)
{
    return size > 2 && memcmp(line + size - 2, "\t\n", 2) == 0;
}

/* Returns where the records of a log end. JSON is checked near the end only:
 * the rest was checked before. */
static size_t end_of_records(const char *bytes, size_t size)
{
    size_t offset = 0;
    while (offset < size && bytes[offset] == '{') {
        const char *line = bytes + offset;
        const char *newline = memchr(line, '\n', size - offset);
        if (newline == NULL) {
            break; /* A system call was killed before the tail was warm. */
        }
        size_t length = (size_t)(newline - line) + 1;
        bool is_odd = size - offset < 300000 && !is_record(line, length);
        if (is_odd && !is_cut_short(line, length)) {
            complain("no record in the log", offset);
        }
        if (is_odd) {
            break;
        }
        offset += length;
    }
    return offset;
}

/* After the records there may be a line that lacks its first byte, or its end
 * if it was not copied, and then at most white space. */
static void check_rest(const char *rest, size_t size)
{
    size_t white = 0;
    while (white < size && (rest[white] == '\t' || rest[white] == '\n')) {
        white++;
    }
    if (white == size) {
        return;
    }
    torn_cycles++;
    bool is_copy = size > 1 && rest[0] == '\t' && rest[1] == '"';
    if (!is_copy && !is_cut_short(rest, size) &&
        memchr(rest, '\n', size) != NULL) {
        complain("neither white space nor a torn line", size);
    }
}

static void check_log(const char *path, bool may_be_padded)
{
    size_t size = 0;
    char *bytes = scratch_read(path, "store.log", &size);
    size_t offset = end_of_records(bytes, size);
    check_rest(bytes + offset, size - offset);
    padded_cycles += offset < size ? 1 : 0;
    if (offset < size && !may_be_padded) {
        complain("padding is left", offset);
    }
    free(bytes);
}

static void refuse_cuts(void *context, const char *name)
{
    (void)context;
    if (strstr(name, "cut") != NULL) {
        complain(name, 0);
    }
}

/* Checks that every key holds its last acknowledged set, or the one that was
 * under way. */
static void check_keys(const kvstore *store)
{
    uint64_t last = board->acknowledged;
    uint64_t next = last;
    for (uint64_t i = 0; i < KEYS && i < last; i++) {
        char key[16];
        make_key(last - i, key);
        uint64_t number = number_in(store, key);
        if (number != last - i && number != last + 1) {
            complain("a set is lost", last - i);
        }
        next = number == last + 1 ? number : next;
    }
    board->acknowledged = next;
}

/* Where a writer died in the middle of its counts, only who may write can make
 * them exact again. */
static void check_counts(const kvstore *store, bool is_exact)
{
    kvstore_stats stats = {0};
    if (kvstore_get_stats(store, &stats) != KVSTORE_OK ||
        stats.damaged_records != 0 || stats.blank_bytes != 0 ||
        (is_exact && stats.live_bytes + stats.stale_bytes != stats.log_bytes)) {
        complain("wrong counts", stats.log_bytes);
    }
}

static void check_store(const char *path, bool is_index_gone)
{
    bool is_reader = board->acknowledged % 2 == 0;
    check_log(path, true);
    if (is_index_gone) {
        char name[SCRATCH_PATH_SIZE + 16];
        (void)snprintf(name, sizeof name, "%s/store.index", path);
        (void)unlink(name);
    }
    kvstore *store = open_or_exit(path, false, is_reader);
    check_keys(store);
    check_counts(store, !is_reader);
    kvstore_close(store);
    store = open_or_exit(path, false, false);
    check_counts(store, true);
    if (kvstore_set(store, "other", 5, "1", 1) != KVSTORE_OK) {
        complain("a shared set failed", 0);
    }
    kvstore_close(store);
    check_log(path, false);
    scratch_list(path, refuse_cuts, NULL);
}

/* A writer's first sets are made by system calls. */
static void await_padding(uint64_t acknowledged_before)
{
    while (board->acknowledged <= acknowledged_before + WARM_UP &&
           board->complaints == 0) {
        pause_us(50);
    }
}

/* Every fourth writer may also die at its beginning. */
static void kill_again_and_again(const char *path, unsigned long cycles)
{
    padded_cycles = 0;
    torn_cycles = 0;
    kvstore_close(open_or_exit(path, false, false));
    for (unsigned long i = 0; i < cycles; i++) {
        uint64_t acknowledged = board->acknowledged;
        pid_t writer = start(write_on, path);
        if (i % 4 != 0) {
            await_padding(acknowledged);
        }
        pause_us((long)(random_bits() % 4000));
        stop(writer);
        uint64_t before = padded_cycles;
        check_store(path, i % 10 == 9);
        padded_cycles = padded_cycles > before ? before + 1 : before;
    }

    (void)printf("%lu cycles, %llu sets, %llu with padding, %llu torn\n",
                 cycles,
                 (unsigned long long)board->acknowledged,
                 (unsigned long long)padded_cycles,
                 (unsigned long long)torn_cycles);
    assert_int_equal(board->complaints, 0);
    assert_true(padded_cycles > cycles / 4);
}

static void killed_copies_lose_nothing(void **state)
{
    is_durable = false;
    kill_again_and_again(*state, scratch_number("KVSTORE_KILL_CYCLES", 400));
}

static void killed_writes_over_padding_lose_nothing(void **state)
{
    is_durable = true;
    kill_again_and_again(*state,
                         scratch_number("KVSTORE_KILL_CYCLES", 400) / 2);
    is_durable = false;
}

static void readers_are_never_behind(void **state)
{
    const char *path = *state;
    kvstore_close(open_or_exit(path, false, false));
    pid_t writer = start(write_on, path);
    pid_t readers[2] = {start(read_on, path), start(read_on, path)};
    for (int i = 0; i < 60 || board->reads <= 100; i++) {
        pause_us(10000);
        if (i % 20 == 10) {
            stop(readers[i / 20 % 2]);
            readers[i / 20 % 2] = start(read_on, path);
        }
    }
    stop(writer);
    stop(readers[0]);
    stop(readers[1]);

    (void)printf("%llu reads of %llu sets\n",
                 (unsigned long long)board->reads,
                 (unsigned long long)board->acknowledged);
    check_store(path, false);
    assert_true(board->reads > 100);
    assert_int_equal(board->complaints, 0);
}

/* --- Set-up --- */

static int set_up(void **state)
{
    char *path = malloc(SCRATCH_PATH_SIZE);
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (path == NULL || fd < 0 || board == MAP_FAILED) {
        free(path);
        return -1;
    }
    (void)close(fd);
    scratch_make(path);
    *state = path;
    return 0;
}

static int tear_down(void **state)
{
    (void)munmap(board, sizeof *board);
    scratch_remove(*state);
    free(*state);
    return 0;
}

#define TAIL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAIL_TEST(killed_copies_lose_nothing),
        TAIL_TEST(killed_writes_over_padding_lose_nothing),
        TAIL_TEST(readers_are_never_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
