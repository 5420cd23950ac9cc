/* SPDX-License-Identifier: MIT */

/* System calls at which a process dies as planned. */

#include "kill_table.h"

#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Any time but the first seconds, in which nothing has been checked yet. */
#define TIME_BEGINS_NS INT64_C(1000000000000)

static struct kill_board *board;
static struct kill_plan plan;
static uint64_t position; /* Calls so far to which the plan applies. */
static int new_log_fd;
static const struct kv_io_table *real;

/* --- The board --- */

struct kill_board *kill_board_map(void)
{
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    void *memory =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || memory == MAP_FAILED) {
        scratch_die("the board");
    }
    (void)close(fd);
    board = memory;
    board->now_ns = TIME_BEGINS_NS;
    return board;
}

void kill_board_unmap(void)
{
    (void)munmap(board, sizeof *board);
    board = NULL;
}

/* --- Death --- */

static void die(void)
{
    int before = errno;
    (void)kill(getpid(), plan.signal);
    errno = before;
}

/* Lets others act until they let this process go on. */
static void let_others_act(void)
{
    if (board->may_pause && (board->pauses_with_lock || !board->has_lock)) {
        int before = errno;
        (void)kill(getpid(), SIGSTOP);
        errno = before;
    }
}

/* Counts a call, and dies before it if so planned. True if the process should
 * die later, in the course of the call or after it. */
static bool enter_step(const char *call)
{
    if (plan.call != NULL && strcmp(plan.call, call) != 0) {
        return false;
    }
    (void)snprintf(board->last_call,
                   sizeof board->last_call,
                   "%.*s",
                   (int)sizeof board->last_call - 1,
                   call);
    board->calls++;
    bool is_here = ++position == plan.n;
    if (is_here && plan.moment == KILL_BEFORE) {
        die();
        is_here = false; /* It was only stopped, and goes on. */
    }
    return is_here;
}

static bool enter(const char *call)
{
    let_others_act();
    return enter_step(call);
}

static void leave(bool is_here)
{
    if (is_here && plan.moment == KILL_AFTER) {
        die();
    }
}

static int finish(bool is_here, int result)
{
    leave(is_here);
    return result;
}

/* --- Names and descriptors --- */

static int kill_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    bool is_here = enter("openat");
    int fd = real->openat(dir_fd, name, flags, mode);
    if (strcmp(name, "store.log.compact") == 0) {
        new_log_fd = fd;
    }
    return finish(is_here, fd);
}

static int kill_close(int fd)
{
    bool is_here = enter("close");
    return finish(is_here, real->close(fd));
}

static int kill_dup_high(int fd)
{
    bool is_here = enter("dup_high");
    return finish(is_here, real->dup_high(fd));
}

static int kill_mkdir(const char *path, mode_t mode)
{
    bool is_here = enter("mkdir");
    return finish(is_here, real->mkdir(path, mode));
}

static int kill_renameat(int dir_fd, const char *from, const char *to)
{
    bool is_here = enter("renameat");
    board->renames++;
    return finish(is_here, real->renameat(dir_fd, from, to));
}

static int kill_unlinkat(int dir_fd, const char *name)
{
    bool is_here = enter("unlinkat");
    return finish(is_here, real->unlinkat(dir_fd, name));
}

static DIR *kill_opendir(int dir_fd)
{
    bool is_here = enter("opendir");
    DIR *directory = real->opendir(dir_fd);
    leave(is_here);
    return directory;
}

static int kill_hold(int fd)
{
    bool is_here = enter("hold");
    return finish(is_here, real->hold(fd));
}

static int kill_flock(int fd, int operation)
{
    bool is_here = enter("flock");
    struct stat stat;
    bool is_of_directory = real->fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode);
    bool is_foul = board->may_pause && board->foul == KILL_TAKES_NO_LOCK;
    if (is_of_directory && is_foul) {
        return finish(is_here, 0);
    }
    int result = real->flock(fd, operation);
    if (is_of_directory && result == 0) {
        board->has_lock = (operation & LOCK_UN) == 0;
    }
    return finish(is_here, result);
}

/* --- What files hold --- */

static ssize_t kill_pread(int fd, void *buffer, size_t size, off_t offset)
{
    bool is_here = enter("pread");
    ssize_t part = real->pread(fd, buffer, size, offset);
    leave(is_here);
    return part;
}

/* Turns lines that should be dropped into blank ones. */
static void blank_lines(char *bytes, size_t size, const char *beginning)
{
    for (size_t i = 0; i < size;) {
        const char *end = memchr(bytes + i, '\n', size - i);
        size_t length = end == NULL ? size - i : (size_t)(end - bytes) - i;
        if (length >= strlen(beginning) &&
            memcmp(bytes + i, beginning, strlen(beginning)) == 0) {
            memset(bytes + i, ' ', length);
        }
        i += length + 1;
    }
}

/* Writes what a foul process makes of its bytes. */
static ssize_t foul_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    char *own = malloc(size);
    if (own == NULL) {
        scratch_die("foul play");
    }
    memcpy(own, bytes, size);
    blank_lines(
        own, size, board->foul == KILL_DROPS_REMOVES ? "{\"Remove\"" : "{");
    ssize_t written = real->pwrite(fd, own, size, offset);
    free(own);
    return written;
}

static bool is_foul_at(int fd)
{
    bool is_of_round = board->has_copied || board->foul == KILL_DROPS_REMOVES;
    return board->may_pause && board->foul != KILL_FAIR &&
           board->foul != KILL_TAKES_NO_LOCK && fd == new_log_fd && is_of_round;
}

static ssize_t kill_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    bool is_here = enter("pwrite");
    if (plan.is_write_lost) {
        return (ssize_t)size;
    }
    if (is_foul_at(fd)) {
        return foul_pwrite(fd, bytes, size, offset);
    }
    size_t part = size;
    if (is_here && plan.moment == KILL_HALF_WRITTEN) {
        part = size / 2;
    } else if (is_here && plan.moment == KILL_NEWLINE_MISSING) {
        part = size - 1;
    }
    ssize_t written = part == 0 ? 0 : real->pwrite(fd, bytes, part, offset);
    if (is_here) {
        die();
    }
    return written;
}

static int kill_ftruncate(int fd, off_t size)
{
    bool is_here = enter("ftruncate");
    return finish(is_here, real->ftruncate(fd, size));
}

static int kill_allocate_blocks(int fd, off_t size)
{
    bool is_here = enter("allocate_blocks");
    return finish(is_here, real->allocate_blocks(fd, size));
}

static int kill_fdatasync(int fd)
{
    bool is_here = enter("fdatasync");
    int result = plan.is_sync_failing ? -1 : real->fdatasync(fd);
    errno = plan.is_sync_failing ? EIO : errno;
    return finish(is_here, result);
}

static int kill_fsync(int fd)
{
    bool is_here = enter("fsync");
    board->has_copied = board->has_copied || fd == new_log_fd;
    return finish(is_here, real->fsync(fd));
}

static void *kill_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    bool is_here = enter("mmap");
    void *memory = real->mmap(size, is_writable, fd, offset);
    leave(is_here);
    return memory;
}

static int kill_munmap(void *memory, size_t size)
{
    bool is_here = enter("munmap");
    return finish(is_here, real->munmap(memory, size));
}

/* --- What files are --- */

static int kill_fstat(int fd, struct stat *stat_out)
{
    bool is_here = enter("fstat");
    return finish(is_here, real->fstat(fd, stat_out));
}

static int kill_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    bool is_here = enter("fstatat");
    return finish(is_here, real->fstatat(dir_fd, name, stat_out));
}

static int kill_fchown(int fd, uid_t owner, gid_t group)
{
    bool is_here = enter("fchown");
    return finish(is_here, real->fchown(fd, owner, group));
}

static int kill_fchmod(int fd, mode_t mode)
{
    bool is_here = enter("fchmod");
    return finish(is_here, real->fchmod(fd, mode));
}

static off_t kill_file_end(int fd)
{
    bool is_here = enter("file_end");
    off_t end = real->file_end(fd);
    leave(is_here);
    return end;
}

static uint64_t kill_mount_id(int fd)
{
    bool is_here = enter("mount_id");
    uint64_t id = real->mount_id(fd);
    leave(is_here);
    return id;
}

static long kill_file_system_type(int fd)
{
    bool is_here = enter("file_system_type");
    long type = real->file_system_type(fd);
    leave(is_here);
    return type;
}

/* --- Time --- */

/* Longer than any polling process sleeps between two tries. */
#define LONG_SLEEP_NS INT64_C(20000000)

/* How long a look at the clock takes: so who waits without a sleep gets there. */
#define LOOK_NS INT64_C(5000)

static int64_t board_clock(void)
{
    return atomic_fetch_add(&board->now_ns, LOOK_NS) + LOOK_NS;
}

static int64_t board_clock_coarse(void)
{
    return board->now_ns;
}

static void board_sleep(int64_t ns)
{
    bool is_skipped = board->skips_long_sleeps && ns > LONG_SLEEP_NS;
    board->now_ns += is_skipped ? 0 : ns;
}

static void kill_sleep(int64_t ns)
{
    bool is_here = enter("sleep");
    board_sleep(ns);
    leave(is_here);
}

/* --- Steps --- */

static void kill_step(const char *name)
{
    bool is_here = enter_step(name);
    leave(is_here);
}

/* --- Installing --- */

static void take_clock(struct kv_io_table *table)
{
    real = kv_io_system_table();
    *table = *real;
    table->clock_ns = board_clock;
    table->clock_coarse_ns = board_clock_coarse;
    table->sleep_ns = board_sleep;
}

void kill_table_install_clock(void)
{
    static struct kv_io_table own;
    take_clock(&own);
    kv_io_swap_table(&own);
}

void kill_table_install_plan(const struct kill_plan *new_plan)
{
    static struct kv_io_table own;
    take_clock(&own);
    own.openat = kill_openat;
    own.close = kill_close;
    own.dup_high = kill_dup_high;
    own.mkdir = kill_mkdir;
    own.renameat = kill_renameat;
    own.unlinkat = kill_unlinkat;
    own.opendir = kill_opendir;
    own.flock = kill_flock;
    own.hold = kill_hold;
    own.pread = kill_pread;
    own.pwrite = kill_pwrite;
    own.ftruncate = kill_ftruncate;
    own.allocate_blocks = kill_allocate_blocks;
    own.fdatasync = kill_fdatasync;
    own.fsync = kill_fsync;
    own.mmap = kill_mmap;
    own.munmap = kill_munmap;
    own.fstat = kill_fstat;
    own.fstatat = kill_fstatat;
    own.fchown = kill_fchown;
    own.fchmod = kill_fchmod;
    own.file_end = kill_file_end;
    own.mount_id = kill_mount_id;
    own.file_system_type = kill_file_system_type;
    own.sleep_ns = kill_sleep;
    own.step = kill_step;
    plan = *new_plan;
    position = 0;
    new_log_fd = -1;
    board->calls = 0;
    board->renames = 0;
    kv_io_swap_table(&own);
}
