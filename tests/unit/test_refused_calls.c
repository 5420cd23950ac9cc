/* SPDX-License-Identifier: MIT */

/* Checks what happens where the system, or a sandbox, refuses a call to one
 * process: each call, with each errno, in an open with a get, a set, a remove
 * and a compaction. The answer is right, or the failure changes nothing; and no
 * other process notices: its index stays where it is, and is trusted. */

#include "index/file.h"
#include "known_store.h"
#include "kvstore.h"
#include "log/log.h"
#include "os/directory.h"
#include "os/system.h"
#include "store_calls.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

/* --- Refusing --- */

static int refused_with;
static uint64_t refused_calls;

/* A call of the table that fails with refused_with. */
#define REFUSED(name, type, failure, ...) \
    static type refused_##name(__VA_ARGS__) \
    { \
        refused_calls++; \
        errno = refused_with; \
        return failure; \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter" /* They only fail. */

REFUSED(openat, int, -1, int dir_fd, const char *name, int flags, mode_t mode)
REFUSED(dup_high, int, -1, int fd)
REFUSED(pread, ssize_t, -1, int fd, void *buffer, size_t size, off_t offset)
REFUSED(pwrite,
        ssize_t,
        -1,
        int fd,
        const void *bytes,
        size_t size,
        off_t offset)
REFUSED(size_limit, uint64_t, 0, void)
REFUSED(ftruncate, int, -1, int fd, off_t size)
REFUSED(fdatasync, int, -1, int fd)
REFUSED(fsync, int, -1, int fd)
REFUSED(fstat, int, -1, int fd, struct stat *stat_out)
REFUSED(fstatat, int, -1, int dir_fd, const char *name, struct stat *stat_out)
REFUSED(fchown, int, -1, int fd, uid_t owner, gid_t group)
REFUSED(fchmod, int, -1, int fd, mode_t mode)
REFUSED(get_access_list, ssize_t, -1, int fd, void *buffer, size_t size)
REFUSED(set_access_list, int, -1, int fd, const void *bytes, size_t size)
REFUSED(mkdir, int, -1, const char *path, mode_t mode)
REFUSED(renameat, int, -1, int dir_fd, const char *from, const char *to)
REFUSED(unlinkat, int, -1, int dir_fd, const char *name)
REFUSED(flock, int, -1, int fd, int operation)
REFUSED(hold, int, -1, int fd)
REFUSED(is_held, bool, false, int fd)
REFUSED(allocate_blocks, int, -1, int fd, off_t size)
REFUSED(mmap, void *, MAP_FAILED, size_t size, bool w, int fd, off_t offset)
REFUSED(populate, int, -1, void *memory, size_t size)
REFUSED(file_end, off_t, -1, int fd)
REFUSED(next_data, off_t, -1, int fd, off_t offset)
REFUSED(mount_id, uint64_t, 0, int fd)
REFUSED(boot_id, int, -1, uint64_t *id_out)
REFUSED(opendir, DIR *, NULL, int dir_fd)
REFUSED(file_system_type, long, -1, int fd)
REFUSED(getrandom, ssize_t, -1, void *buffer, size_t size)
REFUSED(malloc, void *, NULL, size_t size)

/* The index alone: all else is open already. */
static int refused_index(int dir_fd, const char *name, int flags, mode_t mode)
{
    return strncmp(name, KV_INDEX_NAME, strlen(KV_INDEX_NAME)) == 0
               ? refused_openat(dir_fd, name, flags, mode)
               : kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

/* A kernel without /proc says nothing, which is no failure. */
static int silent_boot_id(uint64_t *id_out)
{
    refused_calls++;
    *id_out = 0;
    return 0;
}

#define ANY \
    { \
        ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP, ENOMEM \
    }
#define NO_DESCRIPTOR \
    { \
        EMFILE, ENFILE, ENOMEM, ENOSYS \
    }
#define ERRORS_MAX 10

struct refusal {
    const char *name;
    struct kv_io_table only; /* The members that differ from the system's. */
    int errors[ERRORS_MAX];
    bool may_stop_reads;
    bool may_stop_writes;
    bool may_leave_file; /* What cannot be removed, or not be told from another
                            program's: the next compaction takes it away. */
};

#define OF(member) .name = #member, .only = {.member = refused_##member}

static const struct refusal refusals[] = {
    {OF(openat),
     .errors = {EMFILE, ENFILE, ENOSYS, EPERM, EACCES, ENOMEM},
     .may_stop_reads = true,
     .may_stop_writes = true},
    {.name = "openat of the index",
     .only = {.openat = refused_index},
     .errors = NO_DESCRIPTOR,
     .may_stop_writes = true},
    {OF(dup_high), .errors = {EMFILE, ENOSYS, EPERM, EINVAL}},
    {OF(pread),
     .errors = {EIO, ENOSYS, EPERM, EINVAL},
     .may_stop_reads = true,
     .may_stop_writes = true},
    {OF(pwrite),
     .errors = {ENOSPC, EDQUOT, EIO, EFBIG, ENOSYS, EPERM},
     .may_stop_writes = true},
    {OF(size_limit), .errors = {ENOSYS, EPERM}},
    {OF(ftruncate), .errors = ANY},
    {OF(fdatasync),
     .errors = {ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP},
     .may_stop_writes = true},
    {OF(fsync), .errors = {ENOSYS, EPERM, EACCES, EINVAL, EOPNOTSUPP}},
    {OF(fstat),
     .errors = ANY,
     .may_leave_file = true,
     .may_stop_reads = true,
     .may_stop_writes = true},
    {OF(fstatat),
     .errors = ANY,
     .may_leave_file = true,
     .may_stop_reads = true,
     .may_stop_writes = true},
    {OF(fchown), .errors = ANY},
    {OF(fchmod), .errors = ANY},
    {OF(get_access_list), .errors = {EIO, ENOMEM, ERANGE}},
    {OF(set_access_list), .errors = ANY},
    {OF(mkdir), .errors = {ENOSYS, EPERM, EACCES, ENOSPC}},
    {OF(renameat), .errors = {ENOSYS, EPERM, EACCES, EXDEV, ENOSPC}},
    {OF(unlinkat),
     .errors = {ENOSYS, EPERM, EACCES, EBUSY},
     .may_leave_file = true},
    {OF(flock),
     .errors = {ENOLCK, ENOSYS, EPERM, EINVAL},
     .may_stop_writes = true},
    {OF(hold), .errors = {ENOLCK, ENOSYS, EPERM, EINVAL}},
    {OF(is_held), .errors = {ENOSYS, EPERM, EINVAL}},
    {OF(allocate_blocks),
     .errors = {ENOSPC, EDQUOT, ENOSYS, EPERM, EINVAL, EOPNOTSUPP, ENODEV}},
    {OF(mmap),
     .errors = {EACCES,
                EAGAIN,
                EINVAL,
                ENFILE,
                ENODEV,
                ENOMEM,
                ENOSYS,
                EPERM,
                EOPNOTSUPP},
     .may_stop_writes = true},
    {OF(populate), .errors = {EINVAL, ENOSYS, EPERM, EACCES, ENOMEM, EFAULT}},
    {OF(file_end),
     .errors = ANY,
     .may_stop_reads = true,
     .may_stop_writes = true},
    {OF(next_data), .errors = {EINVAL, ENOSYS, EPERM, EOPNOTSUPP}},
    {OF(mount_id), .errors = {ENOSYS}},
    {OF(boot_id),
     .errors = {EMFILE, ENFILE, ENOMEM},
     .may_stop_reads = true,
     .may_stop_writes = true},
    {.name = "boot_id, silently",
     .only = {.boot_id = silent_boot_id},
     .errors = {ENOENT}},
    {OF(opendir), .errors = {EMFILE, ENFILE, ENOMEM, EACCES}},
    {OF(file_system_type),
     .errors = ANY,
     .may_stop_reads = true,
     .may_stop_writes = true},
    {OF(getrandom), .errors = {ENOSYS, EPERM, EAGAIN}},
    {OF(malloc),
     .errors = {ENOMEM},
     .may_stop_reads = true,
     .may_stop_writes = true},
};
#define REFUSALS (sizeof refusals / sizeof refusals[0])

/* A table of pointers to functions: those that are not null take the place of
 * the system's. */
static void begin_refusing(const struct refusal *refusal, int error)
{
    static struct kv_io_table table;
    typedef void (*any_call)(void);
    table = *kv_io_system_table();
    for (size_t at = 0; at < sizeof table; at += sizeof(any_call)) {
        any_call call = NULL;
        memcpy(&call, (const char *)&refusal->only + at, sizeof call);
        if (call != NULL) {
            memcpy((char *)&table + at, &call, sizeof call);
        }
    }
    refused_with = error;
    kv_io_swap_table(&table);
}

static void end_refusing(void)
{
    kv_io_swap_table(kv_io_system_table());
}

/* --- What is done meanwhile --- */

#define CHANGED "key-1"
#define UNCHANGED "key-2"

enum deed { GET, SET, SET_DURABLY, REMOVE, COMPACT, DEEDS };
static const char *const deed_names[DEEDS] = {"get",
                                              "set",
                                              "set durably",
                                              "remove",
                                              "compact"};

static kvstore_status get(const kvstore *store)
{
    char value[32];
    size_t size = 0;
    kvstore_status status = kvstore_get_into(
        store, CHANGED, strlen(CHANGED), value, sizeof value, &size);
    if (status == KVSTORE_OK) {
        assert_int_equal(size, strlen("old"));
        assert_memory_equal(value, "old", size);
    }
    return status;
}

static kvstore_status act(kvstore *store, enum deed deed)
{
    switch (deed) {
    case GET:
        return get(store);
    case SET:
    case SET_DURABLY:
        return try_set(store, CHANGED, "new");
    case REMOVE:
        return kvstore_remove(store, CHANGED, strlen(CHANGED));
    default:
        return kvstore_compact(store);
    }
}

static kvstore_options options_of(enum deed deed)
{
    kvstore_options options = plain_options();
    options.sync =
        deed == SET_DURABLY ? KVSTORE_SYNC_ALWAYS : KVSTORE_SYNC_NONE;
    return options;
}

/* A compaction is never needed, and fails for more reasons. */
static void assert_told(const struct refusal *refusal,
                        enum deed deed,
                        kvstore_status status)
{
    if (status != KVSTORE_OK) {
        const kvstore_error *error = kvstore_last_error();
        assert_int_equal(error->status, status);
        assert_true(error->message[0] != '\0');
        assert_int_not_equal(status, KVSTORE_NOT_FOUND);
        assert_int_not_equal(status, KVSTORE_CORRUPT);
        assert_true(deed == COMPACT ||
                    (deed == GET && refusal->may_stop_reads) ||
                    (deed != GET && refusal->may_stop_writes));
    }
}

/* --- What others notice --- */

static uint64_t index_inode(const struct store_dir *dir)
{
    struct stat stat;
    assert_int_equal(lstat(store_dir_path(dir, KV_INDEX_NAME), &stat), 0);
    return stat.st_ino;
}

static void assert_outcome(kvstore *store,
                           enum deed deed,
                           kvstore_status status)
{
    bool is_done = status == KVSTORE_OK;
    if (is_done && deed == REMOVE) {
        assert_absent(store, CHANGED);
    } else if (is_done && (deed == SET || deed == SET_DURABLY)) {
        assert_value(store, CHANGED, "new");
    } else {
        assert_value(store, CHANGED, "old");
    }
    assert_value(store, UNCHANGED, "old");
}

/* Another process, all along; and one that comes later. */
static void assert_unnoticed(const struct store_dir *dir,
                             kvstore *witness,
                             enum deed deed,
                             kvstore_status status,
                             uint64_t inode)
{
    if (deed != COMPACT || status != KVSTORE_OK) {
        assert_int_equal(index_inode(dir), inode);
        assert_int_equal(checked_stats(witness).slow_open, KVSTORE_OPEN_FAST);
    }
    assert_outcome(witness, deed, status);
    kvstore *later = open_plain(dir);
    assert_outcome(later, deed, status);
    assert_int_equal(kvstore_verify(later, NULL, NULL), KVSTORE_OK);
    must_set(later, CHANGED, "old");
    kvstore_close(later);
    assert_value(witness, CHANGED, "old");
    must_set(witness, "key-3", "old");
}

static void count_name(void *context, const char *name)
{
    (void)name;
    (*(int *)context)++;
}

static void assert_no_leftovers(const struct store_dir *dir)
{
    int count = 0;
    assert_int_equal(
        kv_io_list(&dir->directory, "store.", "", count_name, &count),
        KVSTORE_OK);
    assert_int_equal(count, 2);
}

/* is_open: the refusal begins after the handle has been opened. */
static void try_refusal(const struct store_dir *dir,
                        const struct refusal *refusal,
                        int error,
                        enum deed deed,
                        bool is_open)
{
    kvstore_options options = options_of(deed);
    kvstore *store = NULL;
    kvstore *witness = open_plain(dir);
    must_set(witness, CHANGED, "older");
    must_set(witness, CHANGED, "old");
    must_set(witness, UNCHANGED, "old");
    uint64_t inode = index_inode(dir);
    if (is_open) {
        store = open_with(dir, &options);
        rest(12); /* So that the names are due. */
    }
    begin_refusing(refusal, error);
    kvstore_status status =
        is_open ? KVSTORE_OK : kvstore_open(dir->path, &options, &store);
    if (status == KVSTORE_OK) {
        status = act(store, deed);
    }
    assert_told(refusal, deed, status);
    kvstore_close(store);
    end_refusing();
    assert_unnoticed(dir, witness, deed, status, inode);
    if (refusal->may_leave_file) {
        must_compact(witness);
    }
    kvstore_close(witness);
    assert_no_leftovers(dir);
}

/* In each deed, before the open and after it. Returns how many there were. */
static unsigned try_refusals(const struct store_dir *dir,
                             const struct refusal *refusal,
                             int error)
{
    for (int deed = 0; deed < 2 * DEEDS; deed++) {
        bool is_open = deed >= DEEDS;
        enum deed which = (enum deed)(deed % DEEDS);
        print_message("%s: %s, %s%s\n",
                      refusal->name,
                      strerror(error),
                      is_open ? "open, " : "",
                      deed_names[which]);
        try_refusal(dir, refusal, error, which, is_open);
    }
    return 2 * DEEDS;
}

static void refusals_harm_nobody(void **state)
{
    const struct store_dir *dir = *state;
    unsigned count = 0;
    for (size_t i = 0; i < REFUSALS; i++) {
        refused_calls = 0;
        for (size_t e = 0; refusals[i].errors[e] != 0; e++) {
            count += try_refusals(dir, &refusals[i], refusals[i].errors[e]);
        }
        print_message("%s was refused %llu times\n",
                      refusals[i].name,
                      (unsigned long long)refused_calls);
    }
    print_message("%u passed, 0 failed\n", count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(refusals_harm_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
