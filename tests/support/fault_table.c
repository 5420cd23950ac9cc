/* SPDX-License-Identifier: MIT */

/* A table of system calls that fail as planned. */

#include "fault_table.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#define FD_MAX 1024

/* --- The ways to fail --- */

#define READS (FAULT_BIT(FAULT_PREAD))
#define WRITES (FAULT_BIT(FAULT_PWRITE))
#define SYNCS (FAULT_BIT(FAULT_FDATASYNC) | FAULT_BIT(FAULT_FSYNC))
#define LOOKS \
    (FAULT_BIT(FAULT_FSTAT) | FAULT_BIT(FAULT_FSTATAT) | \
     FAULT_BIT(FAULT_FILE_SYSTEM_TYPE) | FAULT_BIT(FAULT_FILE_END) | \
     FAULT_BIT(FAULT_MOUNT_ID) | FAULT_BIT(FAULT_GET_ACCESS_LIST))
#define NAMES \
    (FAULT_BIT(FAULT_MKDIR) | FAULT_BIT(FAULT_RENAMEAT) | \
     FAULT_BIT(FAULT_UNLINKAT))
#define OPENS (FAULT_BIT(FAULT_OPENAT))
#define MODES (FAULT_BIT(FAULT_FCHOWN) | FAULT_BIT(FAULT_FCHMOD))
#define CUTS (FAULT_BIT(FAULT_FTRUNCATE))
#define BLOCKS (FAULT_BIT(FAULT_ALLOCATE_BLOCKS))

/* EINTR is met once: a call that is tried again would never end. */
const struct fault_kind fault_kinds[] = {
    {"EIO",
     READS | WRITES | SYNCS | LOOKS | NAMES | OPENS | MODES | CUTS | BLOCKS |
         FAULT_BIT(FAULT_GETRANDOM),
     EIO,
     FAULT_NOTHING_DONE,
     true},
    {"EIO when done",
     WRITES | NAMES | OPENS | MODES | CUTS | SYNCS | FAULT_BIT(FAULT_CLOSE),
     EIO,
     FAULT_DONE,
     true},
    {"EINTR",
     READS | WRITES | SYNCS | OPENS | CUTS | BLOCKS | FAULT_BIT(FAULT_FLOCK) |
         FAULT_BIT(FAULT_GETRANDOM),
     EINTR,
     FAULT_NOTHING_DONE,
     false},
    {"EINTR when closed", FAULT_BIT(FAULT_CLOSE), EINTR, FAULT_DONE, true},
    {"ENOSPC",
     WRITES | SYNCS | NAMES | OPENS | BLOCKS,
     ENOSPC,
     FAULT_NOTHING_DONE,
     true},
    {"EDQUOT",
     WRITES | SYNCS | NAMES | OPENS | BLOCKS,
     EDQUOT,
     FAULT_NOTHING_DONE,
     true},
    {"EFBIG", WRITES, EFBIG, FAULT_NOTHING_DONE, true},
    {"ENOSPC after half", WRITES, ENOSPC, FAULT_HALF_THEN_FAIL, true},
    {"half", READS | WRITES, 0, FAULT_HALF_DONE, true},
    {"EMFILE",
     OPENS | FAULT_BIT(FAULT_DUP_HIGH) | FAULT_BIT(FAULT_OPENDIR),
     EMFILE,
     FAULT_NOTHING_DONE,
     true},
    {"ENFILE", OPENS, ENFILE, FAULT_NOTHING_DONE, true},
    {"EACCES",
     OPENS | FAULT_BIT(FAULT_MKDIR) | FAULT_BIT(FAULT_RENAMEAT),
     EACCES,
     FAULT_NOTHING_DONE,
     true},
    {"EROFS", NAMES | OPENS | CUTS | MODES, EROFS, FAULT_NOTHING_DONE, true},
    {"EPERM", MODES | CUTS, EPERM, FAULT_NOTHING_DONE, true},
    {"ENOLCK", FAULT_BIT(FAULT_FLOCK), ENOLCK, FAULT_NOTHING_DONE, true},
    {"ENOMEM",
     FAULT_BIT(FAULT_MALLOC) | FAULT_BIT(FAULT_MMAP) | OPENS | LOOKS,
     ENOMEM,
     FAULT_NOTHING_DONE,
     true},
};
const size_t fault_kind_count = sizeof fault_kinds / sizeof *fault_kinds;

/* --- The plan --- */

static struct {
    const struct fault_kind *kind;
    uint64_t at;
    bool is_for_good;
    uint64_t position; /* Calls so far to which the kind applies. */
    uint64_t fired[FAULT_CALL_COUNT];
    uint64_t calls[FAULT_CALL_COUNT];
    bool is_open[FD_MAX];
    int open_files;
    int64_t allocations;
    int misuses;
    int64_t slept_ns;
} table;

static const struct kv_io_table *real;

enum verdict { GOES_ON, FAILS, DONE_AND_FAILS, HALF };

static enum verdict judge(enum fault_call call)
{
    table.calls[call]++;
    const struct fault_kind *kind = table.kind;
    if (kind == NULL || (kind->calls & FAULT_BIT(call)) == 0) {
        return GOES_ON;
    }
    uint64_t position = ++table.position;
    bool is_second =
        kind->effect == FAULT_HALF_THEN_FAIL && position == table.at + 1;
    if (position != table.at && !is_second &&
        !(table.is_for_good && position > table.at)) {
        return GOES_ON;
    }
    table.fired[call]++;
    errno = kind->error;
    switch (kind->effect) {
    case FAULT_NOTHING_DONE:
        return FAILS;
    case FAULT_DONE:
        return DONE_AND_FAILS;
    case FAULT_HALF_DONE:
        return HALF;
    case FAULT_HALF_THEN_FAIL:
        return position == table.at ? HALF : FAILS;
    }
    return FAILS;
}

/* For calls that return 0 or -1. */
static int finish(enum verdict verdict, int result)
{
    if (verdict == DONE_AND_FAILS && result == 0) {
        errno = table.kind->error;
        return -1;
    }
    return result;
}

/* --- The calls --- */

static int note_opened(int fd)
{
    if (fd >= 0 && fd < FD_MAX) {
        table.is_open[fd] = true;
        table.open_files++;
    }
    return fd;
}

static int fault_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    enum verdict verdict = judge(FAULT_OPENAT);
    if (verdict == FAILS) {
        return -1;
    }
    int fd = real->openat(dir_fd, name, flags, mode);
    if (verdict == DONE_AND_FAILS && fd >= 0) {
        (void)real->close(fd);
        errno = table.kind->error;
        return -1;
    }
    return note_opened(fd);
}

static int fault_close(int fd)
{
    enum verdict verdict = judge(FAULT_CLOSE);
    if (fd < 0 || fd >= FD_MAX || !table.is_open[fd]) {
        table.misuses++;
    } else {
        table.is_open[fd] = false;
        table.open_files--;
    }
    return finish(verdict, real->close(fd));
}

static int fault_dup_high(int fd)
{
    return judge(FAULT_DUP_HIGH) == FAILS ? -1
                                          : note_opened(real->dup_high(fd));
}

static ssize_t fault_pread(int fd, void *buffer, size_t size, off_t offset)
{
    enum verdict verdict = judge(FAULT_PREAD);
    if (verdict == FAILS) {
        return -1;
    }
    size_t part = verdict == HALF && size > 1 ? size / 2 : size;
    return real->pread(fd, buffer, part, offset);
}

static ssize_t fault_pwrite(int fd,
                            const void *bytes,
                            size_t size,
                            off_t offset)
{
    enum verdict verdict = judge(FAULT_PWRITE);
    if (verdict == FAILS) {
        return -1;
    }
    size_t part = verdict == HALF && size > 1 ? size / 2 : size;
    ssize_t written = real->pwrite(fd, bytes, part, offset);
    if (verdict == DONE_AND_FAILS) {
        errno = table.kind->error;
        return -1;
    }
    return written;
}

static int fault_ftruncate(int fd, off_t size)
{
    enum verdict verdict = judge(FAULT_FTRUNCATE);
    return verdict == FAILS ? -1 : finish(verdict, real->ftruncate(fd, size));
}

static int fault_fdatasync(int fd)
{
    enum verdict verdict = judge(FAULT_FDATASYNC);
    return verdict == FAILS ? -1 : finish(verdict, real->fdatasync(fd));
}

static int fault_fsync(int fd)
{
    enum verdict verdict = judge(FAULT_FSYNC);
    return verdict == FAILS ? -1 : finish(verdict, real->fsync(fd));
}

static int fault_fstat(int fd, struct stat *stat_out)
{
    return judge(FAULT_FSTAT) == FAILS ? -1 : real->fstat(fd, stat_out);
}

static int fault_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    return judge(FAULT_FSTATAT) == FAILS
               ? -1
               : real->fstatat(dir_fd, name, stat_out);
}

static int fault_fchown(int fd, uid_t owner, gid_t group)
{
    enum verdict verdict = judge(FAULT_FCHOWN);
    return verdict == FAILS ? -1
                            : finish(verdict, real->fchown(fd, owner, group));
}

static ssize_t fault_get_access_list(int fd, void *buffer, size_t size)
{
    return judge(FAULT_GET_ACCESS_LIST) == FAILS
               ? -1
               : real->get_access_list(fd, buffer, size);
}

static int fault_fchmod(int fd, mode_t mode)
{
    enum verdict verdict = judge(FAULT_FCHMOD);
    return verdict == FAILS ? -1 : finish(verdict, real->fchmod(fd, mode));
}

static int fault_mkdir(const char *path, mode_t mode)
{
    enum verdict verdict = judge(FAULT_MKDIR);
    return verdict == FAILS ? -1 : finish(verdict, real->mkdir(path, mode));
}

static int fault_renameat(int dir_fd, const char *from, const char *to)
{
    enum verdict verdict = judge(FAULT_RENAMEAT);
    return verdict == FAILS ? -1
                            : finish(verdict, real->renameat(dir_fd, from, to));
}

static int fault_unlinkat(int dir_fd, const char *name)
{
    enum verdict verdict = judge(FAULT_UNLINKAT);
    return verdict == FAILS ? -1
                            : finish(verdict, real->unlinkat(dir_fd, name));
}

static int fault_hold(int fd)
{
    return judge(FAULT_FLOCK) == FAILS ? -1 : real->hold(fd);
}

static int fault_flock(int fd, int operation)
{
    if ((operation & LOCK_UN) != 0) {
        return real->flock(fd, operation);
    }
    return judge(FAULT_FLOCK) == FAILS ? -1 : real->flock(fd, operation);
}

static long fault_file_system_type(int fd)
{
    return judge(FAULT_FILE_SYSTEM_TYPE) == FAILS ? -1
                                                  : real->file_system_type(fd);
}

/* Nothing waits: the clock is put forward instead. */
static int64_t fault_clock_ns(void)
{
    return real->clock_ns() + table.slept_ns;
}

static void fault_sleep_ns(int64_t ns)
{
    table.slept_ns += ns;
}

static ssize_t fault_getrandom(void *buffer, size_t size)
{
    return judge(FAULT_GETRANDOM) == FAILS ? -1 : real->getrandom(buffer, size);
}

static int fault_allocate_blocks(int fd, off_t size)
{
    return judge(FAULT_ALLOCATE_BLOCKS) == FAILS
               ? -1
               : real->allocate_blocks(fd, size);
}

static void *fault_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    if (judge(FAULT_MMAP) == FAILS) {
        return MAP_FAILED;
    }
    void *memory = real->mmap(size, is_writable, fd, offset);
    table.allocations += memory != MAP_FAILED ? 1 : 0;
    return memory;
}

static int fault_munmap(void *memory, size_t size)
{
    table.allocations--;
    return real->munmap(memory, size);
}

static off_t fault_file_end(int fd)
{
    return judge(FAULT_FILE_END) == FAILS ? -1 : real->file_end(fd);
}

static uint64_t fault_mount_id(int fd)
{
    return judge(FAULT_MOUNT_ID) == FAILS ? 0 : real->mount_id(fd);
}

static DIR *fault_opendir(int dir_fd)
{
    return judge(FAULT_OPENDIR) == FAILS ? NULL : real->opendir(dir_fd);
}

static void *fault_malloc(size_t size)
{
    if (judge(FAULT_MALLOC) == FAILS) {
        return NULL;
    }
    void *memory = real->malloc(size);
    table.allocations += memory != NULL ? 1 : 0;
    return memory;
}

static void *fault_realloc(void *memory, size_t size)
{
    if (judge(FAULT_MALLOC) == FAILS) {
        return NULL;
    }
    void *moved = real->realloc(memory, size);
    table.allocations += memory == NULL && moved != NULL ? 1 : 0;
    return moved;
}

static void fault_free(void *memory)
{
    table.allocations -= memory != NULL ? 1 : 0;
    table.misuses += table.allocations < 0 ? 1 : 0;
    real->free(memory);
}

/* --- Installing --- */

void fault_table_install(void)
{
    static struct kv_io_table own;
    real = kv_io_system_table();
    own = *real;
    own.openat = fault_openat;
    own.close = fault_close;
    own.dup_high = fault_dup_high;
    own.pread = fault_pread;
    own.pwrite = fault_pwrite;
    own.ftruncate = fault_ftruncate;
    own.fdatasync = fault_fdatasync;
    own.fsync = fault_fsync;
    own.fstat = fault_fstat;
    own.fstatat = fault_fstatat;
    own.fchown = fault_fchown;
    own.fchmod = fault_fchmod;
    own.get_access_list = fault_get_access_list;
    own.mkdir = fault_mkdir;
    own.renameat = fault_renameat;
    own.unlinkat = fault_unlinkat;
    own.flock = fault_flock;
    own.hold = fault_hold;
    own.file_system_type = fault_file_system_type;
    own.clock_ns = fault_clock_ns;
    own.sleep_ns = fault_sleep_ns;
    own.getrandom = fault_getrandom;
    own.allocate_blocks = fault_allocate_blocks;
    own.mmap = fault_mmap;
    own.munmap = fault_munmap;
    own.file_end = fault_file_end;
    own.mount_id = fault_mount_id;
    own.opendir = fault_opendir;
    own.malloc = fault_malloc;
    own.realloc = fault_realloc;
    own.free = fault_free;
    memset(&table, 0, sizeof table);
    kv_io_swap_table(&own);
}

static void no_sleep(int64_t ns)
{
    (void)ns;
}

void fault_table_uninstall(void)
{
    static struct kv_io_table own;
    own = *kv_io_system_table();
    own.sleep_ns = no_sleep;
    kv_io_swap_table(&own);
}

void fault_table_plan(const struct fault_kind *kind,
                      uint64_t n,
                      bool is_for_good)
{
    table.kind = kind;
    table.at = n;
    table.is_for_good = is_for_good;
    table.position = 0;
    memset(table.fired, 0, sizeof table.fired);
}

uint64_t fault_table_fired(void)
{
    uint64_t fired = 0;
    for (size_t i = 0; i < FAULT_CALL_COUNT; i++) {
        fired += table.fired[i];
    }
    return fired;
}

uint64_t fault_table_fired_at(enum fault_call call)
{
    return table.fired[call];
}

uint64_t fault_table_calls(enum fault_call call)
{
    return table.calls[call];
}

uint64_t fault_table_all_calls(void)
{
    uint64_t calls = 0;
    for (size_t i = 0; i < FAULT_CALL_COUNT; i++) {
        calls += table.calls[i];
    }
    return calls;
}

int fault_table_open_files(void)
{
    return table.open_files;
}

int64_t fault_table_allocations(void)
{
    return table.allocations;
}

int fault_table_misuses(void)
{
    return table.misuses;
}

static void *cjson_malloc(size_t size)
{
    if (judge(FAULT_CJSON_MALLOC) == FAILS) {
        return NULL;
    }
    table.allocations++;
    return malloc(size);
}

static void cjson_free(void *memory)
{
    table.allocations -= memory != NULL ? 1 : 0;
    free(memory);
}

void fault_table_hook_cjson(bool is_hooked)
{
    cJSON_Hooks hooks = {.malloc_fn = cjson_malloc, .free_fn = cjson_free};
    cJSON_InitHooks(is_hooked ? &hooks : NULL);
}
