/* SPDX-License-Identifier: MIT */

/* Processes move money between accounts, each time in one batch, on the condition
 * that both accounts are what they have read; they are killed one by one while
 * others grow the index, compact, and delete the index. The sum of all accounts
 * never changes: in an iterator, in a backup, in what a watcher is told, and for
 * gets when all are dead. KVSTORE_TRANSFER_ROUNDS: how many are killed. */

#include "kvstore.h"
#include "scratch.h"

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

#define TELLERS 4
#define ACCOUNTS 16
#define FIRST_BALANCE 1000
#define SUM ((long)ACCOUNTS * FIRST_BALANCE)
#define TRANSFERS_PER_ROUND 40u
#define PREFIX "account-"
#define PREFIX_SIZE (sizeof(PREFIX) - 1)
#define NUMBER_SIZE 32

/* Seen by all processes. */
struct board {
    _Atomic uint64_t transfers;
    _Atomic uint64_t violations;
};

static struct board *board;
static char path[SCRATCH_PATH_SIZE];
static char copy_path[SCRATCH_PATH_SIZE];
static uint64_t random_state = 88172645463325252u;

/* Xorshift (Marsaglia, 2003). Returns a number below a bound. */
static unsigned random_below(unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state % bound);
}

static void complain(const char *what, long found)
{
    (void)fprintf(
        stderr, "%s: %ld; %s\n", what, found, kvstore_last_error()->message);
    board->violations++;
}

static void must(kvstore_status status, const char *what)
{
    if (status != KVSTORE_OK) {
        complain(what, (long)status);
        _exit(EXIT_FAILURE);
    }
}

static kvstore *open_store(const char *directory, int sync, bool is_read_only)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    kvstore *store = NULL;
    options.sync = sync;
    options.read_only = is_read_only;
    options.compaction = KVSTORE_COMPACT_INLINE;
    options.compaction_threshold = 20000;
    options.lock_timeout_ms = 60000;
    must(kvstore_open(directory, &options, &store), "cannot open");
    return store;
}

static size_t name_account(char name[NUMBER_SIZE], unsigned number)
{
    return (size_t)snprintf(name, NUMBER_SIZE, PREFIX "%02u", number);
}

/* --- Tellers --- */

static long get_balance(const kvstore *store,
                        unsigned account,
                        char digits[NUMBER_SIZE],
                        size_t *size_out)
{
    char name[NUMBER_SIZE];
    size_t name_size = name_account(name, account);
    memset(digits, 0, NUMBER_SIZE);
    must(kvstore_get_into(
             store, name, name_size, digits, NUMBER_SIZE - 1, size_out),
         "cannot get");
    return strtol(digits, NULL, 10);
}

static void change_balance(const kvstore *store,
                           kvstore_batch *batch,
                           unsigned account,
                           long amount)
{
    char name[NUMBER_SIZE];
    char old[NUMBER_SIZE];
    char digits[NUMBER_SIZE];
    size_t old_size = 0;
    size_t name_size = name_account(name, account);
    long balance = get_balance(store, account, old, &old_size) + amount;
    int size = snprintf(digits, sizeof digits, "%ld", balance);
    must(kvstore_batch_require(
             batch, name, name_size, KVSTORE_IF_VALUE, old, old_size),
         "cannot require");
    must(kvstore_batch_set(batch, name, name_size, digits, (size_t)size, 0),
         "cannot add");
}

/* A new key, so that the index grows; or one that is soon gone. */
static void add_receipt(kvstore_batch *batch, int teller)
{
    char name[NUMBER_SIZE];
    int size = snprintf(
        name, sizeof name, "receipt-%d-%u", teller, random_below(3000));
    must(kvstore_batch_set(batch,
                           name,
                           (size_t)size,
                           "paid",
                           4,
                           random_below(2) == 0 ? 0 : kvstore_now_ms() + 60000),
         "cannot add");
}

static void transfer(kvstore *store, kvstore_batch *batch, int teller)
{
    unsigned from = random_below(ACCOUNTS);
    unsigned to = (from + 1 + random_below(ACCOUNTS - 1)) % ACCOUNTS;
    long amount = (long)random_below(50);
    kvstore_batch_clear(batch);
    change_balance(store, batch, from, -amount);
    if (random_below(2) == 0) {
        add_receipt(batch, teller);
    }
    change_balance(store, batch, to, amount);
    kvstore_status status = kvstore_write(store, batch);
    if (status == KVSTORE_OK) {
        board->transfers++;
    } else if (status != KVSTORE_CONFLICT) {
        must(status, "cannot write");
    }
}

static _Noreturn void transfer_on(int teller)
{
    int sync = teller % 2 == 0 ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    kvstore *store = open_store(path, sync, false);
    kvstore_batch *batch = NULL;
    must(kvstore_batch_create(&batch), "cannot create");
    for (;;) {
        transfer(store, batch, teller);
        if (random_below(60) == 0) {
            kvstore_close(store);
            store = open_store(path, sync, false);
        }
    }
}

static pid_t start_teller(int teller)
{
    random_state += (uint64_t)teller * 7919 + board->transfers;
    pid_t pid = fork();
    if (pid < 0) {
        scratch_die("fork");
    }
    if (pid == 0) {
        transfer_on(teller);
    }
    return pid;
}

static void kill_teller(pid_t pid)
{
    int status = 0;
    (void)kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
        complain("a teller has failed", status);
    }
}

static void await_transfers(uint64_t count)
{
    static const struct timespec pause = {.tv_nsec = 200000};
    uint64_t until = board->transfers + count;
    while (board->transfers < until && board->violations == 0) {
        (void)nanosleep(&pause, NULL);
    }
}

/* --- Checks --- */

static void check_iterator(const kvstore *store, const char *whose)
{
    const kvstore_range range = {.prefix = PREFIX, .prefix_size = PREFIX_SIZE};
    const kvstore_entry *entry = NULL;
    kvstore_iterator *iterator = NULL;
    long sum = 0;
    int count = 0;
    must(kvstore_iterator_create(store, &range, &iterator), whose);
    while (kvstore_iterator_next(iterator, &entry) == KVSTORE_OK) {
        sum += entry->value == NULL ? 0 : strtol(entry->value, NULL, 10);
        count++;
    }
    kvstore_iterator_free(iterator);
    if (sum != SUM || count != ACCOUNTS) {
        complain(whose, sum);
    }
}

/* Gets are of several moments. A get that meets the first record of a batch whose
 * writer has died makes the rest of it visible: of what was read before, only the
 * batch's other account may be older, and nothing changes any more. */
static void check_gets(const kvstore *store, const char *whose)
{
    char digits[NUMBER_SIZE];
    size_t size = 0;
    long sum = 0;
    int changed = 0;
    long first[ACCOUNTS];
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        first[i] = get_balance(store, i, digits, &size);
    }
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        long balance = get_balance(store, i, digits, &size);
        changed += balance != first[i];
        sum += balance;
    }
    if (sum != SUM || changed > 1) {
        complain(whose, sum);
    }
}

static void check_backup(const kvstore *store)
{
    must(kvstore_backup(store, copy_path), "cannot back up");
    kvstore *copy = open_store(copy_path, KVSTORE_SYNC_NONE, false);
    check_iterator(copy, "a backup");
    kvstore_close(copy);
    scratch_remove(copy_path);
}

/* What a watcher was told. */
struct told {
    kvstore_watcher *watcher;
    long balances[ACCOUNTS];
    bool is_current;
};

static void note_change(struct told *told, const kvstore_change *change)
{
    if (change->kind == KVSTORE_CHANGE_RESET) {
        memset(told->balances, 0, sizeof told->balances);
        told->is_current = false;
    } else if (change->kind == KVSTORE_CHANGE_CURRENT) {
        told->is_current = true;
    } else {
        const char *name = change->entry->key;
        unsigned long account = strtoul(name + PREFIX_SIZE, NULL, 10);
        if (change->kind != KVSTORE_CHANGE_SET || account >= ACCOUNTS ||
            change->entry->status != KVSTORE_OK) {
            complain("a watcher is told nonsense", change->kind);
            return;
        }
        told->balances[account] = strtol(change->entry->value, NULL, 10);
    }
}

/* All that there is by now. */
static void check_watcher(struct told *told)
{
    const kvstore_change *change = NULL;
    while (kvstore_watcher_next(told->watcher, 0, &change) == KVSTORE_OK) {
        note_change(told, change);
        long sum = 0;
        for (size_t i = 0; i < ACCOUNTS; i++) {
            sum += told->balances[i];
        }
        if (told->is_current && change->batch_left == 0 && sum != SUM) {
            complain("a watcher", sum);
        }
    }
}

/* --- The test --- */

static kvstore *stores[2]; /* Open all along: one may write, one may not. */
static struct told told[2];
static pid_t tellers[TELLERS];

static void open_accounts(void)
{
    kvstore_batch *batch = NULL;
    stores[0] = open_store(path, KVSTORE_SYNC_ALWAYS, false);
    must(kvstore_batch_create(&batch), "cannot create");
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char name[NUMBER_SIZE];
        char digits[NUMBER_SIZE];
        size_t size = name_account(name, i);
        int digits_size = snprintf(digits, sizeof digits, "%d", FIRST_BALANCE);
        must(kvstore_batch_set(
                 batch, name, size, digits, (size_t)digits_size, 0),
             "cannot add");
    }
    must(kvstore_write(stores[0], batch), "cannot write");
    kvstore_batch_free(batch);
    stores[1] = open_store(path, KVSTORE_SYNC_NONE, true);
    for (int i = 0; i < 2; i++) {
        const kvstore_watch_options options = {
            .prefix = PREFIX, .prefix_size = PREFIX_SIZE, .from_start = true};
        must(kvstore_watcher_create(stores[i], &options, &told[i].watcher),
             "cannot watch");
    }
}

/* Nobody writes: the dead may have left half of what they did. */
static void check_after_all_have_died(void)
{
    for (int i = 0; i < TELLERS; i++) {
        kill_teller(tellers[i]);
    }
    for (int i = 0; i < 2; i++) {
        check_gets(stores[i], "gets after all have died");
        check_iterator(stores[i], "an iterator after all have died");
    }
    for (int is_read_only = 1; is_read_only >= 0; is_read_only--) {
        kvstore *store = open_store(path, KVSTORE_SYNC_NONE, is_read_only);
        check_gets(store, "gets of a new handle");
        kvstore_close(store);
    }
    for (int i = 0; i < TELLERS; i++) {
        tellers[i] = start_teller(i);
    }
}

static void run_round(unsigned round)
{
    char name[SCRATCH_PATH_SIZE + 16];
    int teller = (int)random_below(TELLERS);
    await_transfers(TRANSFERS_PER_ROUND);
    for (int i = 0; i < 2; i++) {
        check_watcher(&told[i]);
        check_iterator(stores[i], i == 0 ? "an iterator" : "a reader's");
    }
    kill_teller(tellers[teller]);
    if (round % 7 == 3) {
        (void)snprintf(name, sizeof name, "%s/store.index", path);
        (void)unlink(name);
    }
    if (round % 5 == 4) {
        check_backup(stores[round % 2]);
    }
    tellers[teller] = start_teller(teller);
    if (round % 6 == 5) {
        check_after_all_have_died();
    }
}

static void no_money_is_made_or_lost(void **state)
{
    (void)state;
    unsigned long rounds = scratch_number("KVSTORE_TRANSFER_ROUNDS", 60);
    open_accounts();
    for (int i = 0; i < TELLERS; i++) {
        tellers[i] = start_teller(i);
    }
    for (unsigned round = 0; round < rounds && board->violations == 0;
         round++) {
        run_round(round);
    }
    check_after_all_have_died();
    for (int i = 0; i < TELLERS; i++) {
        kill_teller(tellers[i]);
    }
    for (int i = 0; i < 2; i++) {
        check_watcher(&told[i]);
        kvstore_watcher_free(told[i].watcher);
    }
    must(kvstore_verify(stores[0], NULL, NULL), "verify");
    (void)printf("%llu transfers, %llu violations\n",
                 (unsigned long long)board->transfers,
                 (unsigned long long)board->violations);
    kvstore_close(stores[0]);
    kvstore_close(stores[1]);
    assert_int_equal(board->violations, 0);
}

static int set_up(void **state)
{
    (void)state;
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    void *memory =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (memory == MAP_FAILED) {
        return -1;
    }
    board = memory;
    scratch_make(path);
    scratch_make(copy_path);
    scratch_remove(copy_path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove(path);
    scratch_remove(copy_path);
    return munmap(board, sizeof *board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            no_money_is_made_or_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
