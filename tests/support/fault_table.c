/* SPDX-License-Identifier: MIT */

/* A table of system calls that fail as planned. */

#include "fault_table.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#define FD_MAX 1024

/* --- The plan --- */

#define ERRNO_MAX 256

struct point {
    const struct fault_kind *kind;
    uint64_t at;
};

static struct {
    struct point points[2];
    bool is_for_good; /* The first one. */
    uint64_t counted; /* Bits of the calls that the plan counts. */
    uint64_t position;
    int error; /* Of the call that fails now. */
    bool has_given[ERRNO_MAX];
    const char *first_fired;
    const char *last_fired;
    uint64_t fired[FAULT_CALL_COUNT];
    uint64_t calls[FAULT_CALL_COUNT];
    bool is_open[FD_MAX];
    int open_files;
    int64_t allocations;
    int misuses;
    int64_t now_ns;
} table;

static const struct kv_io_table *below;
static const struct kv_io_table *real;

enum verdict { GOES_ON, FAILS, DONE_AND_FAILS, HALF };

static bool is_at(const struct point *point, uint64_t position)
{
    return position == point->at ||
           (table.is_for_good && position > point->at) ||
           (point->kind->effect == FAULT_HALF_THEN_FAIL &&
            position == point->at + 1);
}

/* The way in which this call, at the next position, fails. */
static const struct point *find_point(enum fault_call call)
{
    if ((table.counted & FAULT_BIT(call)) == 0) {
        return NULL;
    }
    table.position++;
    for (size_t i = 0; i < 2; i++) {
        const struct point *point = &table.points[i];
        if (point->kind != NULL &&
            (point->kind->calls & FAULT_BIT(call)) != 0 &&
            is_at(point, table.position)) {
            return point;
        }
    }
    return NULL;
}

static enum verdict judge(enum fault_call call)
{
    table.calls[call]++;
    const struct point *point = find_point(call);
    if (point == NULL) {
        return GOES_ON;
    }
    table.fired[call]++;
    table.error = point->kind->error == FAULT_USUAL ? fault_usual_error(call)
                                                    : point->kind->error;
    table.has_given[table.error] = true;
    table.last_fired = fault_call_name(call);
    if (table.first_fired == NULL) {
        table.first_fired = table.last_fired;
    }
    errno = table.error;
    switch (point->kind->effect) {
    case FAULT_NOTHING_DONE:
        return FAILS;
    case FAULT_DONE:
        return DONE_AND_FAILS;
    case FAULT_HALF_DONE:
        return HALF;
    case FAULT_HALF_THEN_FAIL:
        return table.position == point->at ? HALF : FAILS;
    }
    return FAILS;
}

/* For calls that return 0 or -1. */
static int finish(enum verdict verdict, int result)
{
    if (verdict == DONE_AND_FAILS && result == 0) {
        errno = table.error;
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
        errno = table.error;
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
        errno = table.error;
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

static int fault_set_access_list(int fd, const void *bytes, size_t size)
{
    enum verdict verdict = judge(FAULT_SET_ACCESS_LIST);
    return verdict == FAILS
               ? -1
               : finish(verdict, real->set_access_list(fd, bytes, size));
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

static bool fault_is_held(int fd)
{
    return judge(FAULT_IS_HELD) != FAILS && real->is_held(fd);
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

/* Nothing waits: the clock is put forward instead, and by nothing else, so that
 * what depends on the time is the same in each run. */
static int64_t fault_clock_ns(void)
{
    return table.now_ns;
}

static void fault_sleep_ns(int64_t ns)
{
    table.now_ns += ns;
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

static int fault_populate(void *memory, size_t size)
{
    return judge(FAULT_POPULATE) == FAILS ? -1 : real->populate(memory, size);
}

static uint64_t fault_size_limit(void)
{
    return judge(FAULT_SIZE_LIMIT) == FAILS ? 0 : real->size_limit();
}

static off_t fault_file_end(int fd)
{
    return judge(FAULT_FILE_END) == FAILS ? -1 : real->file_end(fd);
}

static uint64_t fault_mount_id(int fd)
{
    return judge(FAULT_MOUNT_ID) == FAILS ? 0 : real->mount_id(fd);
}

static off_t fault_next_data(int fd, off_t offset)
{
    return judge(FAULT_NEXT_DATA) == FAILS ? -1 : real->next_data(fd, offset);
}

static void fault_birth(int fd, struct kv_io_birth *birth_out)
{
    *birth_out = (struct kv_io_birth){.time_ns = 0};
    if (judge(FAULT_BIRTH) != FAILS) {
        real->birth(fd, birth_out);
    }
}

static int fault_boot_id(uint64_t *id_out)
{
    *id_out = 0;
    return judge(FAULT_BOOT_ID) == FAILS ? -1 : real->boot_id(id_out);
}

static DIR *fault_opendir(int dir_fd)
{
    DIR *stream = judge(FAULT_OPENDIR) == FAILS ? NULL : real->opendir(dir_fd);
    table.open_files += stream != NULL ? 1 : 0;
    return stream;
}

static struct dirent *fault_readdir(DIR *stream)
{
    return judge(FAULT_READDIR) == FAILS ? NULL : real->readdir(stream);
}

static int fault_closedir(DIR *stream)
{
    enum verdict verdict = judge(FAULT_CLOSEDIR);
    table.open_files--;
    return finish(verdict, real->closedir(stream));
}

/* --- A thread, which waits for its turn --- */

static struct {
    bool is_waiting;
    void *(*run)(void *context);
    void *context;
    sem_t may_run;
    sem_t has_run;
} beside;

static void *run_when_told(void *context)
{
    (void)context;
    while (sem_wait(&beside.may_run) != 0) {
    }
    void *result = beside.run(beside.context);
    (void)sem_post(&beside.has_run);
    return result;
}

static int fault_start_thread(pthread_t *thread,
                              void *(*run)(void *context),
                              void *context)
{
    if (judge(FAULT_START_THREAD) == FAILS) {
        return table.error;
    }
    beside.run = run;
    beside.context = context;
    (void)sem_init(&beside.may_run, 0, 0);
    (void)sem_init(&beside.has_run, 0, 0);
    int result = real->start_thread(thread, run_when_told, NULL);
    beside.is_waiting = result == 0;
    return result;
}

void fault_table_run_thread(void)
{
    if (beside.is_waiting) {
        beside.is_waiting = false;
        (void)sem_post(&beside.may_run);
        while (sem_wait(&beside.has_run) != 0) {
        }
    }
}

/* --- Memory --- */

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

void fault_table_forward_to(const struct kv_io_table *table_below)
{
    below = table_below;
}

void fault_table_install(void)
{
    static struct kv_io_table own;
    real = below == NULL ? kv_io_system_table() : below;
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
    own.clock_coarse_ns = fault_clock_ns;
    own.sleep_ns = fault_sleep_ns;
    own.getrandom = fault_getrandom;
    own.allocate_blocks = fault_allocate_blocks;
    own.mmap = fault_mmap;
    own.munmap = fault_munmap;
    own.file_end = fault_file_end;
    own.mount_id = fault_mount_id;
    own.opendir = fault_opendir;
    own.size_limit = fault_size_limit;
    own.set_access_list = fault_set_access_list;
    own.is_held = fault_is_held;
    own.populate = fault_populate;
    own.next_data = fault_next_data;
    own.birth = fault_birth;
    own.boot_id = fault_boot_id;
    own.readdir = fault_readdir;
    own.closedir = fault_closedir;
    own.start_thread = fault_start_thread;
    own.malloc = fault_malloc;
    own.realloc = fault_realloc;
    own.free = fault_free;
    memset(&table, 0, sizeof table);
    table.now_ns = real->clock_ns();
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

static void begin_plan(struct point first,
                       struct point second,
                       bool is_for_good)
{
    table.points[0] = first;
    table.points[1] = second;
    table.is_for_good = is_for_good;
    table.counted = (first.kind == NULL ? 0 : first.kind->calls) |
                    (second.kind == NULL ? 0 : second.kind->calls);
    table.position = 0;
    memset(table.fired, 0, sizeof table.fired);
    fault_table_forget_errors();
}

void fault_table_plan(const struct fault_kind *kind,
                      uint64_t n,
                      bool is_for_good)
{
    const struct point point = {.kind = kind, .at = n};
    begin_plan(point, (struct point){.kind = NULL}, is_for_good);
}

void fault_table_plan_pair(const struct fault_kind *first,
                           uint64_t first_n,
                           const struct fault_kind *second,
                           uint64_t second_n)
{
    begin_plan((struct point){.kind = first, .at = first_n},
               (struct point){.kind = second, .at = second_n},
               false);
}

uint64_t fault_table_position(void)
{
    return table.position;
}

const char *fault_table_first_fired(void)
{
    return table.first_fired;
}

const char *fault_table_last_fired(void)
{
    return table.last_fired;
}

bool fault_table_has_given(int error)
{
    return error >= 0 && error < ERRNO_MAX && table.has_given[error];
}

void fault_table_forget_errors(void)
{
    memset(table.has_given, 0, sizeof table.has_given);
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
