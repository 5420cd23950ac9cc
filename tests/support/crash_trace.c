/* SPDX-License-Identifier: MIT */

/* Records what a workload does to its store. */

#include "crash_trace.h"

#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define FD_MAX 1024
#define NAMES_MAX 8
#define MAPPED_SIZE_MAX ((size_t)64 << 10)

enum { FD_OTHER = -1, FD_STORE = -2, FD_ROOT = -3 };

static struct crash_trace *now; /* The one that is being recorded. */
static const struct kv_io_table *real;

static struct {
    int fds[FD_MAX]; /* An inode, or one of the above. */
    struct {
        char name[CRASH_NAME_SIZE];
        int inode;
    } names[NAMES_MAX]; /* As the living processes see them. */
    size_t name_count;
    size_t event_capacity;
    uint64_t changes;
    uint64_t syncs;
    uint64_t writes;
    uint64_t lies;    /* And chances for one that were passed over. */
    int locked_fd;    /* Of the store's directory, or -1. */
    int mapped_inode; /* The log that is written through memory, or -1. */
    bool is_beside;
} model;

static struct crash_event *record(enum crash_event_type type, int inode)
{
    if (now->event_count == model.event_capacity) {
        model.event_capacity = model.event_capacity * 2 + 64;
        now->events =
            realloc(now->events, model.event_capacity * sizeof *now->events);
        if (now->events == NULL) {
            scratch_die("trace");
        }
    }
    struct crash_event *event = &now->events[now->event_count++];
    *event = (struct crash_event){.type = type, .inode = inode};
    return event;
}

/* --- Names --- */

/* True for the index's names. The index is never certain to be on the disk, and
 * no power cut leaves one that may be trusted: it is not traced, and missing
 * from every layout. */
static bool is_of_index(const char *name)
{
    return strncmp(name, "store.index", 11) == 0;
}

static int find_name(const char *name)
{
    for (size_t i = 0; i < model.name_count; i++) {
        if (strcmp(model.names[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void copy_name(char *to, const char *name)
{
    (void)snprintf(to, CRASH_NAME_SIZE, "%s", name);
}

static void add_name(const char *name, int inode)
{
    if (model.name_count == NAMES_MAX) {
        scratch_die("too many names in a trace");
    }
    copy_name(model.names[model.name_count].name, name);
    model.names[model.name_count++].inode = inode;
}

static void remove_name(const char *name)
{
    int i = find_name(name);
    if (i >= 0) {
        model.names[i] = model.names[--model.name_count];
    }
}

/* Returns the inode that was opened by name; a new one if there was none. */
static int open_inode(const char *name)
{
    int i = find_name(name);
    if (i >= 0) {
        return model.names[i].inode;
    }
    if (now->inode_count == CRASH_INODES_MAX) {
        scratch_die("too many inodes in a trace");
    }
    int inode = now->inode_count++;
    add_name(name, inode);
    copy_name(record(CRASH_LINK, inode)->name, name);
    return inode;
}

/* --- Dying and failing --- */

/* The code goes on after its process has died, with calls that fail. What it
 * then stores in the mapped index never happened: revival puts the file back as
 * it was at death. */
static struct {
    int fd;
    ssize_t size;
    char bytes[1 << 16];
} index_at_death = {.fd = -1};

static void forget_index(void)
{
    if (index_at_death.fd >= 0) {
        (void)close(index_at_death.fd);
    }
    index_at_death.fd = -1;
}

static void save_index(void)
{
    char path[sizeof now->path + 16];
    forget_index();
    (void)snprintf(path, sizeof path, "%s/store.index", now->path);
    index_at_death.fd = open(path, O_RDWR | O_CLOEXEC);
    if (index_at_death.fd >= 0) {
        index_at_death.size = pread(index_at_death.fd,
                                    index_at_death.bytes,
                                    sizeof index_at_death.bytes,
                                    0);
    }
}

static void restore_index(void)
{
    if (index_at_death.fd >= 0 && index_at_death.size > 0 &&
        pwrite(index_at_death.fd,
               index_at_death.bytes,
               (size_t)index_at_death.size,
               0) != index_at_death.size) {
        scratch_die("store.index");
    }
    forget_index();
}

enum fate { DOES, DOES_HALF, DOES_NOTHING };

/* Decides on a call that changes something. */
static enum fate change(void)
{
    if (now->is_dead) {
        errno = EIO;
        return DOES_NOTHING;
    }
    now->is_dead = ++model.changes == now->dies_at;
    if (now->is_dead) {
        save_index();
    }
    return now->is_dead ? DOES_HALF : DOES;
}

/* Decides on one that does not. */
static bool is_too_late(void)
{
    errno = EIO;
    return now->is_dead;
}

/* --- What is written through memory --- */

/* Returns how many bytes of an inode are as its record says, which are put into
 * bytes_out. */
static size_t recorded_bytes(int inode, char *bytes_out, size_t capacity)
{
    size_t size = 0;
    memset(bytes_out, 0, capacity);
    if (inode < now->base_count) {
        size = now->base[inode].size;
        memcpy(bytes_out, now->base[inode].bytes, size);
    }
    for (size_t i = 0; i < now->event_count; i++) {
        const struct crash_event *event = &now->events[i];
        if (event->inode != inode) {
            continue;
        }
        if (event->type == CRASH_WRITE) {
            size_t end = (size_t)event->offset + event->size;
            memcpy(bytes_out + event->offset, event->bytes, event->size);
            size = end > size ? end : size;
        } else if (event->type == CRASH_CUT) {
            size = (size_t)event->offset;
            memset(bytes_out + size, 0, capacity - size);
        }
    }
    return size;
}

static void record_write(int inode,
                         off_t offset,
                         const void *bytes,
                         size_t size)
{
    struct crash_event *event = record(CRASH_WRITE, inode);
    event->offset = (uint64_t)offset;
    event->size = size;
    event->bytes = malloc(size);
    if (event->bytes == NULL) {
        scratch_die("trace");
    }
    memcpy(event->bytes, bytes, size);
}

/* Records as one write what the log has got through a mapping since its last
 * event. */
static void record_mapped(void)
{
    static char recorded[MAPPED_SIZE_MAX];
    int i = find_name("store.log");
    if (model.mapped_inode < 0 || now->is_dead || i < 0 ||
        model.names[i].inode != model.mapped_inode) {
        return;
    }
    size_t size = 0;
    char *bytes = scratch_read(now->path, "store.log", &size);
    if (bytes == NULL || size > sizeof recorded) {
        scratch_die("store.log");
    }
    size_t end = recorded_bytes(model.mapped_inode, recorded, sizeof recorded);
    end = size < end ? size : end;
    size_t first = 0;
    while (first < end && bytes[first] == recorded[first]) {
        first++;
    }
    while (end > first && bytes[end - 1] == recorded[end - 1]) {
        end--;
    }
    if (first < end) {
        record_write(
            model.mapped_inode, (off_t)first, bytes + first, end - first);
    }
    free(bytes);
}

/* --- Acting alongside --- */

/* Not when a descriptor is opened or closed: then the list of them is
 * locked. */
static void let_others_act(void)
{
    if (now->beside == NULL || now->is_dead || model.is_beside ||
        model.locked_fd >= 0) {
        return;
    }
    int before = errno;
    model.is_beside = true;
    now->beside(now->beside_context);
    model.is_beside = false;
    errno = before;
}

/* --- The calls --- */

static int trace_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    bool is_creation = (flags & O_CREAT) != 0 && find_name(name) < 0;
    if (is_creation ? change() == DOES_NOTHING : is_too_late()) {
        return -1;
    }
    int fd = real->openat(dir_fd, name, flags, mode);
    if (fd < 0 || fd >= FD_MAX) {
        return fd;
    }
    if (is_of_index(name)) {
        model.fds[fd] = FD_OTHER;
    } else if (dir_fd == AT_FDCWD) {
        bool is_root = strcmp(name, now->root) == 0;
        bool is_store = strcmp(name, now->path) == 0;
        model.fds[fd] = is_store ? FD_STORE : is_root ? FD_ROOT : FD_OTHER;
    } else {
        model.fds[fd] = open_inode(name);
    }
    return fd;
}

static int trace_close(int fd)
{
    return real->close(fd);
}

static int trace_dup_high(int fd)
{
    int high_fd = real->dup_high(fd);
    if (high_fd >= 0 && high_fd < FD_MAX) {
        model.fds[high_fd] = model.fds[fd];
    }
    return high_fd;
}

static ssize_t trace_pread(int fd, void *buffer, size_t size, off_t offset)
{
    let_others_act();
    return is_too_late() ? -1 : real->pread(fd, buffer, size, offset);
}

static ssize_t trace_pwrite(int fd,
                            const void *bytes,
                            size_t size,
                            off_t offset)
{
    let_others_act();
    enum fate fate = change();
    if (fate == DOES_NOTHING) {
        return -1;
    }
    record_mapped();
    model.writes++;
    if (now->fails_write_at != 0 && model.writes == now->fails_write_at + 1) {
        errno = ENOSPC;
        return -1;
    }
    bool is_half = fate == DOES_HALF || model.writes == now->fails_write_at;
    now->has_failed |= is_half;
    ssize_t written =
        real->pwrite(fd, bytes, is_half && size > 1 ? size / 2 : size, offset);
    if (written > 0 && model.fds[fd] != FD_OTHER) {
        record_write(model.fds[fd], offset, bytes, (size_t)written);
    }
    return written;
}

static int trace_ftruncate(int fd, off_t size)
{
    let_others_act();
    if (change() == DOES_NOTHING) {
        return -1;
    }
    record_mapped();
    if (model.fds[fd] != FD_OTHER) {
        record(CRASH_CUT, model.fds[fd])->offset = (uint64_t)size;
    }
    return real->ftruncate(fd, size);
}

static int sync_file(int fd, enum crash_lie lie)
{
    int what = model.fds[fd];
    record_mapped();
    bool is_lost = ++model.syncs == now->fails_sync_at;
    now->has_failed |= is_lost;
    if ((now->lies & (unsigned)lie) != 0 &&
        (++model.lies == now->lies_at || now->lies_at == 0)) {
        return 0;
    }
    if (what >= 0) {
        (void)record(is_lost ? CRASH_SYNC_LOST : CRASH_SYNC, what);
    } else if (what == FD_STORE && !is_lost) {
        (void)record(CRASH_SYNC_NAMES, -1);
    } else if (what == FD_ROOT && !is_lost) {
        (void)record(CRASH_SYNC_ROOT, -1);
    }
    errno = EIO;
    return is_lost ? -1 : 0;
}

static int trace_fdatasync(int fd)
{
    let_others_act();
    return change() == DOES ? sync_file(fd, CRASH_LIE_FDATASYNC) : -1;
}

static int trace_fsync(int fd)
{
    let_others_act();
    return change() == DOES
               ? sync_file(fd,
                           model.fds[fd] >= 0 ? CRASH_LIE_FSYNC_FILE
                                              : CRASH_LIE_FSYNC_DIRECTORY)
               : -1;
}

static int trace_fstat(int fd, struct stat *stat_out)
{
    let_others_act();
    return is_too_late() ? -1 : real->fstat(fd, stat_out);
}

static int trace_fstatat(int dir_fd, const char *name, struct stat *stat_out)
{
    let_others_act();
    return is_too_late() ? -1 : real->fstatat(dir_fd, name, stat_out);
}

static int trace_mkdir(const char *path, mode_t mode)
{
    let_others_act();
    if (change() == DOES_NOTHING) {
        return -1;
    }
    int result = real->mkdir(path, mode);
    if (result == 0) {
        (void)record(CRASH_MKDIR, -1);
    }
    return result;
}

static int trace_renameat(int dir_fd, const char *from, const char *to)
{
    let_others_act();
    if (change() == DOES_NOTHING) {
        return -1;
    }
    int i = find_name(from);
    int result = real->renameat(dir_fd, from, to);
    if (now->is_dead) {
        save_index();
    }
    if (result == 0 && i >= 0) {
        int inode = model.names[i].inode;
        struct crash_event *event = record(CRASH_RENAME, inode);
        copy_name(event->name, from);
        copy_name(event->to, to);
        remove_name(from);
        remove_name(to);
        add_name(to, inode);
    }
    return result;
}

static int trace_unlinkat(int dir_fd, const char *name)
{
    let_others_act();
    if (change() == DOES_NOTHING) {
        return -1;
    }
    int i = find_name(name);
    int result = real->unlinkat(dir_fd, name);
    if (result == 0 && i >= 0) {
        copy_name(record(CRASH_UNLINK, model.names[i].inode)->name, name);
        remove_name(name);
    }
    return result;
}

static int trace_flock(int fd, int operation)
{
    let_others_act();
    if ((operation & LOCK_UN) == 0 && is_too_late()) {
        return -1;
    }
    /* A dead process may have lost the descriptor before the lock. */
    bool is_of_store = fd >= 0 && model.fds[fd] == FD_STORE;
    if (is_of_store && !model.is_beside && (now->lies & CRASH_LIE_LOCK) != 0) {
        return 0;
    }
    int result = real->flock(fd, operation);
    if (is_of_store && result == 0) {
        model.locked_fd = (operation & LOCK_UN) == 0 ? fd : -1;
    }
    return result;
}

static int trace_allocate_blocks(int fd, off_t size)
{
    let_others_act();
    return change() == DOES ? real->allocate_blocks(fd, size) : -1;
}

static void *trace_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    let_others_act();
    if (is_too_late()) {
        return MAP_FAILED;
    }
    if (is_writable && fd >= 0 && model.fds[fd] >= 0) {
        model.mapped_inode = model.fds[fd];
    }
    return real->mmap(size, is_writable, fd, offset);
}

static void trace_sleep_ns(int64_t ns)
{
    (void)ns;
}

/* --- The calls of those who look at what is left --- */

/* What is the same in each state need not be asked for hundreds of times. */

static int checking_sync(int fd)
{
    (void)fd;
    return 0;
}

static uint64_t checking_size_limit(void)
{
    return UINT64_MAX;
}

static int checking_boot_id(uint64_t *id_out)
{
    *id_out = 1;
    return 0;
}

static uint64_t checking_mount_id(int fd)
{
    (void)fd;
    return 3;
}

static ssize_t checking_access_list(int fd, void *buffer, size_t size)
{
    (void)fd;
    (void)buffer;
    (void)size;
    return 0;
}

static int checking_populate(void *memory, size_t size)
{
    (void)memory;
    (void)size;
    return 0;
}

static void install_checking(void)
{
    static struct kv_io_table own;
    own = *kv_io_system_table();
    own.fdatasync = checking_sync;
    own.fsync = checking_sync;
    own.size_limit = checking_size_limit;
    own.boot_id = checking_boot_id;
    own.mount_id = checking_mount_id;
    own.get_access_list = checking_access_list;
    own.populate = checking_populate;
    own.sleep_ns = trace_sleep_ns;
    kv_io_swap_table(&own);
}

static void install(void)
{
    static struct kv_io_table own;
    real = kv_io_system_table();
    own = *real;
    own.openat = trace_openat;
    own.close = trace_close;
    own.dup_high = trace_dup_high;
    own.pread = trace_pread;
    own.pwrite = trace_pwrite;
    own.ftruncate = trace_ftruncate;
    own.fdatasync = trace_fdatasync;
    own.fsync = trace_fsync;
    own.fstat = trace_fstat;
    own.fstatat = trace_fstatat;
    own.mkdir = trace_mkdir;
    own.renameat = trace_renameat;
    own.unlinkat = trace_unlinkat;
    own.flock = trace_flock;
    own.allocate_blocks = trace_allocate_blocks;
    own.mmap = trace_mmap;
    own.sleep_ns = trace_sleep_ns;
    kv_io_swap_table(&own);
}

/* --- Beginning and end --- */

static void add_base(const struct crash_file *file)
{
    struct crash_file *copy = &now->base[now->base_count];
    *copy = *file;
    copy->bytes = malloc(file->size + 1);
    if (copy->bytes == NULL) {
        scratch_die("trace");
    }
    memcpy(copy->bytes, file->bytes, file->size);
    copy->bytes[file->size] = '\0';
    scratch_write(now->path, copy->name, copy->bytes, copy->size);
    add_name(copy->name, now->base_count++);
    now->inode_count = now->base_count;
}

struct crash_trace *crash_trace_begin_at(const struct crash_file *files,
                                         int count,
                                         bool has_directory)
{
    now = calloc(1, sizeof *now);
    if (now == NULL || count > CRASH_FILES_MAX) {
        scratch_die("trace");
    }
    memset(&model, 0, sizeof model);
    model.locked_fd = -1;
    model.mapped_inode = -1;
    scratch_make(now->root);
    (void)snprintf(now->path, sizeof now->path, "%s/store", now->root);
    now->has_directory = has_directory;
    if (has_directory) {
        scratch_empty(now->path);
    }
    for (int i = 0; i < count; i++) {
        add_base(&files[i]);
    }
    install();
    return now;
}

struct crash_trace *crash_trace_begin(const char *log)
{
    const struct crash_file file = {
        .name = "store.log",
        .bytes = (char *)(uintptr_t)log,
        .size = log == NULL ? 0 : strlen(log),
    };
    return crash_trace_begin_at(&file, log == NULL ? 0 : 1, log != NULL);
}

void crash_trace_end(struct crash_trace *ended)
{
    (void)ended;
    install_checking();
}

void crash_trace_release(struct crash_trace *released)
{
    for (size_t i = 0; i < released->event_count; i++) {
        free(released->events[i].bytes);
    }
    for (int i = 0; i < released->base_count; i++) {
        free(released->base[i].bytes);
    }
    free(released->events);
    scratch_remove(released->root);
    free(released);
}

void crash_trace_die_in(struct crash_trace *begun, uint64_t n)
{
    begun->dies_at = model.changes + n;
}

void crash_trace_revive(struct crash_trace *revived)
{
    if (revived->is_dead) {
        restore_index();
    }
    model.locked_fd = -1;
    revived->beside = NULL;
    revived->is_dead = false;
    revived->dies_at = 0;
    revived->fails_sync_at = 0;
    revived->fails_write_at = 0;
}

/* --- What is acknowledged --- */

static int key_number(const char *key)
{
    for (int i = 0; i < now->key_count; i++) {
        if (strcmp(now->keys[i], key) == 0) {
            return i;
        }
    }
    if (now->key_count == CRASH_KEYS_MAX) {
        scratch_die("too many keys in a trace");
    }
    now->keys[now->key_count] = key;
    return now->key_count++;
}

static void record_key(enum crash_event_type type,
                       const char *key,
                       const char *value)
{
    record_mapped();
    struct crash_event *event = record(type, -1);
    event->key = key_number(key);
    event->value = value;
}

void crash_trace_expect(struct crash_trace *begun,
                        const char *key,
                        const char *value)
{
    (void)begun;
    record_key(CRASH_ACK, key, value);
    now->events[now->event_count - 1].is_durable = true;
}

void crash_trace_allow(struct crash_trace *begun,
                       const char *key,
                       const char *value)
{
    (void)begun;
    record_key(CRASH_BEGIN, key, value);
}

kvstore_status crash_trace_set(struct crash_trace *begun,
                               kvstore *store,
                               const char *key,
                               const char *value,
                               bool is_durable)
{
    (void)begun;
    record_key(CRASH_BEGIN, key, value);
    kvstore_status status =
        value == NULL
            ? kvstore_remove(store, key, strlen(key))
            : kvstore_set(store, key, strlen(key), value, strlen(value));
    if (status == KVSTORE_OK) {
        record_key(CRASH_ACK, key, value);
        now->events[now->event_count - 1].is_durable = is_durable;
    }
    return status;
}

kvstore_status crash_trace_write(struct crash_trace *begun,
                                 kvstore *store,
                                 const char *value,
                                 bool is_durable)
{
    const char *const keys[] = {CRASH_PAIR_ONE, CRASH_PAIR_OTHER};
    kvstore_batch *batch = NULL;
    (void)begun;
    kvstore_status status = kvstore_batch_create(&batch);
    for (int i = 0; i < 2 && status == KVSTORE_OK; i++) {
        record_key(CRASH_BEGIN, keys[i], value);
        status = kvstore_batch_set(
            batch, keys[i], strlen(keys[i]), value, strlen(value), 0);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(store, batch);
    }
    for (int i = 0; i < 2 && status == KVSTORE_OK; i++) {
        record_key(CRASH_ACK, keys[i], value);
        now->events[now->event_count - 1].is_durable = is_durable;
    }
    kvstore_batch_free(batch);
    return status;
}

/* Gives all keys of a group this value, in one batch. */
static kvstore_status write_group(kvstore *store,
                                  const struct crash_group *group,
                                  const char *value)
{
    kvstore_batch *batch = NULL;
    char key[CRASH_NAME_SIZE];
    kvstore_status status = kvstore_batch_create(&batch);
    for (unsigned i = 0; i < group->count && status == KVSTORE_OK; i++) {
        (void)snprintf(key, sizeof key, "%.20s%u", group->prefix, i);
        status =
            kvstore_batch_set(batch, key, strlen(key), value, strlen(value), 0);
    }
    if (status == KVSTORE_OK) {
        status = kvstore_write(store, batch);
    }
    kvstore_batch_free(batch);
    return status;
}

kvstore_status crash_trace_grow(struct crash_trace *begun,
                                kvstore *store,
                                const struct crash_group *group,
                                const char *value,
                                bool is_durable)
{
    crash_trace_count(begun, group);
    record_key(CRASH_BEGIN, group->first, value);
    kvstore_status status = write_group(store, group, value);
    if (status == KVSTORE_OK) {
        record_key(CRASH_ACK, group->first, value);
        now->events[now->event_count - 1].is_durable = is_durable;
    }
    return status;
}

void crash_trace_count(struct crash_trace *begun,
                       const struct crash_group *group)
{
    if (begun->group_count == CRASH_GROUPS_MAX) {
        scratch_die("too many groups in a trace");
    }
    begun->groups[begun->group_count++] = group;
}

void crash_trace_see(struct crash_trace *begun,
                     const char *key,
                     const char *value)
{
    int number = key_number(key);
    for (size_t i = begun->event_count; i > 0; i--) {
        const struct crash_event *event = &begun->events[i - 1];
        bool is_told =
            (event->type == CRASH_BEGIN || event->type == CRASH_ACK) &&
            event->key == number;
        bool is_same = is_told && (event->value == NULL || value == NULL
                                       ? event->value == value
                                       : strcmp(event->value, value) == 0);
        if (is_same) {
            crash_trace_expect(begun, key, event->value);
            return;
        }
    }
}

void crash_trace_barrier(struct crash_trace *begun, kvstore_status status)
{
    (void)begun;
    if (status == KVSTORE_OK) {
        (void)record(CRASH_BARRIER, -1);
    }
}
