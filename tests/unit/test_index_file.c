/* SPDX-License-Identifier: MIT */

/* Do index/file.c and index/trust.c do what their headers promise? */

#include "index/file.h"
#include "index/table.h"
#include "index/trust.h"
#include "log/log.h"
#include "os/directory.h"
#include "os/lock.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BUCKETS KV_TABLE_BUCKETS_MIN
#define OTHER_MOUNT 4711
#define LASTING_MOUNT (UINT64_C(1) << 40) /* Never used again. */

static const struct kv_table_secret secret = {.words = {42, 43, 44}};
static struct kv_io_table table;

static void use_system_table(void)
{
    kv_io_swap_table(kv_io_system_table());
}

/* A log and its identity. */
struct place {
    const struct store_dir *dir;
    struct kv_log log;
    struct kv_index_view view;
};

static struct place make_place(void **state)
{
    struct place place = {.dir = *state};
    store_dir_write(place.dir, KV_LOG_NAME, "", 0);
    assert_int_equal(kv_log_open(&place.dir->directory, true, &place.log),
                     KVSTORE_OK);
    place.view.identity.log_device = place.log.device;
    place.view.identity.log_inode = place.log.inode;
    assert_int_equal(kv_io_boot_id(&place.view.boot_id), KVSTORE_OK);
    place.view.mount_id = kv_io_mount_id(&place.log.file);
    return place;
}

/* An index and the memory that it is in. */
struct opened {
    struct kv_index_file file;
    struct kv_table table;
};

/* directory: where, or NULL for private memory. */
static kvstore_status try_create_in(const struct kv_io_file *directory,
                                    const struct kv_log *log,
                                    struct opened *opened_out)
{
    kvstore_status status =
        kv_index_file_create(directory, &log->file, BUCKETS, &opened_out->file);
    if (status != KVSTORE_OK) {
        return status;
    }
    status = kv_index_file_format(
        &opened_out->file, BUCKETS, &secret, &opened_out->table);
    if (status != KVSTORE_OK) {
        kv_index_file_release(directory, &opened_out->file);
    }
    return status;
}

static kvstore_status try_create(const struct place *place,
                                 struct opened *opened_out)
{
    return try_create_in(&place->dir->directory, &place->log, opened_out);
}

static struct opened make_temporary(const struct place *place)
{
    struct opened opened;
    assert_int_equal(try_create(place, &opened), KVSTORE_OK);
    return opened;
}

/* Makes an index that has its name and is LIVE. */
static struct opened make_named(const struct place *place)
{
    struct opened opened = make_temporary(place);
    assert_int_equal(kv_index_file_identify(&opened.table,
                                            &place->log.file,
                                            place->log.device,
                                            place->log.inode),
                     KVSTORE_OK);
    assert_int_equal(kv_index_file_name(&place->dir->directory, &opened.file),
                     KVSTORE_OK);
    atomic_store(&opened.table.header->state, KV_TABLE_LIVE);
    return opened;
}

static enum kv_index_file_trust try_open(const struct place *place,
                                         bool is_writable,
                                         struct opened *opened_out)
{
    return kv_index_file_open(&place->dir->directory,
                              &place->log.file,
                              &place->view,
                              is_writable,
                              &opened_out->file,
                              &opened_out->table);
}

static void release(const struct place *place, struct opened *opened)
{
    kv_index_file_release(&place->dir->directory, &opened->file);
    assert_int_equal(opened->file.file.fd, -1);
    assert_null(opened->file.region);
}

static void assert_trust(const struct place *place,
                         enum kv_index_file_trust trust)
{
    struct opened opened;
    assert_int_equal(try_open(place, true, &opened), trust);
    assert_int_equal(opened.file.file.fd >= 0, trust > KV_INDEX_FILE_UNUSABLE);
    release(place, &opened);
}

static uint64_t state_on_disk(const struct place *place)
{
    size_t size = 0;
    char *bytes = store_dir_read(place->dir, KV_INDEX_NAME, &size);
    uint64_t word = 0;
    memcpy(&word, bytes + offsetof(struct kv_table_header, state), sizeof word);
    free(bytes);
    return word;
}

static void count_name(void *context, const char *name)
{
    (void)name;
    (*(int *)context)++;
}

static int count_temporaries(const struct store_dir *dir)
{
    int count = 0;
    assert_int_equal(
        kv_io_list(&dir->directory, KV_INDEX_NAME, ".tmp", count_name, &count),
        KVSTORE_OK);
    return count;
}

/* --- Creating --- */

static void assert_secret(const struct opened *opened)
{
    assert_memory_equal(&opened->table.secret, &secret, sizeof secret);
}

static void private_index_is_empty_and_has_no_file(void **state)
{
    struct place place = make_place(state);
    struct opened opened;

    assert_int_equal(try_create_in(NULL, &place.log, &opened), KVSTORE_OK);

    for (uint64_t i = 0; i < kv_table_slot_count(&opened.table); i++) {
        assert_int_equal(kv_table_load(&opened.table, i).tag, 0);
    }
    assert_int_equal(opened.file.file.fd, -1);
    assert_int_equal(count_temporaries(place.dir), 0);
    assert_secret(&opened);
    kv_index_file_release(NULL, &opened.file);
    kv_log_close(&place.log);
}

static void *no_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void private_index_without_memory_fails(void **state)
{
    struct place place = make_place(state);
    struct opened opened;
    table = *kv_io_system_table();
    table.malloc = no_malloc;

    kv_io_swap_table(&table);
    kvstore_status status = try_create_in(NULL, &place.log, &opened);
    use_system_table();

    assert_int_equal(status, KVSTORE_NO_MEMORY);
    assert_null(opened.file.region);
    kv_log_close(&place.log);
}

/* What is filled in becomes the table's slots. */
static void assert_filled(const struct kv_io_file *directory,
                          const struct kv_log *log)
{
    const struct kv_table_slot slots[] = {{.tag = 7, .pointer = 8},
                                          {.tag = 9, .pointer = 10}};
    struct opened opened;
    assert_int_equal(
        kv_index_file_create(directory, &log->file, BUCKETS, &opened.file),
        KVSTORE_OK);

    assert_int_equal(kv_index_file_fill(&opened.file,
                                        KV_TABLE_HEADER_SIZE + sizeof *slots,
                                        slots,
                                        sizeof slots),
                     KVSTORE_OK);
    assert_int_equal(
        kv_index_file_format(&opened.file, BUCKETS, &secret, &opened.table),
        KVSTORE_OK);

    assert_int_equal(kv_table_load(&opened.table, 0).tag, 0);
    for (uint64_t i = 0; i < 2; i++) {
        struct kv_table_slot slot = kv_table_load(&opened.table, i + 1);
        assert_memory_equal(&slot, &slots[i], sizeof slot);
    }
    assert_int_equal(kv_table_load(&opened.table, 3).tag, 0);
    kv_index_file_release(directory, &opened.file);
}

static void slots_are_filled_in_before_the_format(void **state)
{
    struct place place = make_place(state);
    assert_filled(NULL, &place.log);
    assert_filled(&place.dir->directory, &place.log);
    kv_log_close(&place.log);
}

static void new_file_has_all_its_room_and_no_name(void **state)
{
    struct place place = make_place(state);

    struct opened opened = make_temporary(&place);

    struct stat stat;
    assert_int_equal(fstat(opened.file.file.fd, &stat), 0);
    assert_int_equal(stat.st_size, kv_table_region_size(BUCKETS));
    assert_true(stat.st_blocks * 512 >= stat.st_size);
    assert_false(store_dir_has(place.dir, KV_INDEX_NAME));
    assert_true(store_dir_has(place.dir, opened.file.temporary_name));
    assert_int_equal(opened.table.header->state, KV_TABLE_SWITCHING);
    release(&place, &opened);
    kv_log_close(&place.log);
}

static void new_file_is_as_open_as_the_log(void **state)
{
    struct place place = make_place(state);
    uid_t owner = geteuid() == 0 ? 1234 : geteuid();
    gid_t group = geteuid() == 0 ? 1235 : getegid();
    assert_int_equal(fchown(place.log.file.fd, owner, group), 0);
    assert_int_equal(fchmod(place.log.file.fd, 0640), 0);

    struct opened opened = make_temporary(&place);

    struct stat stat;
    assert_int_equal(fstat(opened.file.file.fd, &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0640);
    assert_int_equal(stat.st_uid, owner);
    assert_int_equal(stat.st_gid, group);
    release(&place, &opened);
    kv_log_close(&place.log);
}

static int full_allocate_blocks(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = ENOSPC;
    return -1;
}

static void *failing_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    (void)offset;
    (void)size;
    (void)is_writable;
    (void)fd;
    errno = ENOMEM;
    return MAP_FAILED;
}

static int failing_fchmod(int fd, mode_t mode)
{
    (void)fd;
    (void)mode;
    errno = EIO;
    return -1;
}

static int refused_with;

static void *refused_mmap(size_t size, bool is_writable, int fd, off_t offset)
{
    (void)offset;
    (void)size;
    (void)is_writable;
    (void)fd;
    errno = refused_with;
    return MAP_FAILED;
}

static int refused_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    if (strcmp(name, KV_INDEX_NAME) == 0) {
        errno = refused_with;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static void refuse_open(int system_errno)
{
    refused_with = system_errno;
    table = *kv_io_system_table();
    table.openat = refused_openat;
    kv_io_swap_table(&table);
}

static void refuse_map(int system_errno)
{
    refused_with = system_errno;
    table = *kv_io_system_table();
    table.mmap = refused_mmap;
    kv_io_swap_table(&table);
}

static int failing_flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    errno = ENOLCK;
    return -1;
}

static void assert_create_fails(const struct place *place, int system_errno)
{
    struct opened opened;
    kv_io_swap_table(&table);
    kvstore_status status = try_create(place, &opened);
    use_system_table();
    assert_int_not_equal(status, KVSTORE_OK);
    assert_int_equal(kvstore_last_error()->system_errno, system_errno);
    assert_int_equal(opened.file.file.fd, -1);
    assert_null(opened.file.region);
    assert_int_equal(count_temporaries(place->dir), 0);
}

static void full_disk_leaves_no_file(void **state)
{
    struct place place = make_place(state);
    table = *kv_io_system_table();
    table.allocate_blocks = full_allocate_blocks;

    assert_create_fails(&place, ENOSPC);

    kv_log_close(&place.log);
}

static void failed_creation_leaves_no_file(void **state)
{
    struct place place = make_place(state);
    assert_int_equal(fchmod(place.log.file.fd, 0640), 0);
    table = *kv_io_system_table();
    table.fchmod = failing_fchmod;
    assert_create_fails(&place, EIO);
    table = *kv_io_system_table();
    table.flock = failing_flock;
    assert_create_fails(&place, ENOLCK);
    table = *kv_io_system_table();
    table.mmap = failing_mmap;
    assert_create_fails(&place, ENOMEM);
    kv_log_close(&place.log);
}

static ssize_t constant_getrandom(void *buffer, size_t size)
{
    memset(buffer, 0x5a, size);
    return (ssize_t)size;
}

static void name_in_the_way_is_told(void **state)
{
    struct place place = make_place(state);
    static const char name[] = "store.index.5a5a5a5a5a5a5a5a.tmp";
    struct opened opened;
    table = *kv_io_system_table();
    table.getrandom = constant_getrandom;
    assert_int_equal(mkdir(store_dir_path(place.dir, name), 0700), 0);

    kv_io_swap_table(&table);
    kvstore_status status = try_create(&place, &opened);
    use_system_table();

    assert_int_equal(status, KVSTORE_IO);
    assert_string_equal(kvstore_last_error()->message,
                        "cannot open store.index.5a5a5a5a5a5a5a5a.tmp: File "
                        "exists");
    assert_int_equal(rmdir(store_dir_path(place.dir, name)), 0);
    kv_log_close(&place.log);
}

/* --- Naming --- */

static bool can_lock(const struct place *place, const char *name, int operation)
{
    struct kv_io_file file;
    assert_int_equal(
        kv_io_open(&place->dir->directory, name, KV_IO_READ, &file),
        KVSTORE_OK);
    bool is_locked = flock(file.fd, operation | LOCK_NB) == 0;
    kv_io_close(&file);
    return is_locked;
}

/* Does another open file hold the index? */
static bool is_held(const struct place *place)
{
    struct kv_io_file file;
    assert_int_equal(
        kv_io_open(&place->dir->directory, KV_INDEX_NAME, KV_IO_READ, &file),
        KVSTORE_OK);
    bool is_held = kv_io_is_held(&file);
    kv_io_close(&file);
    return is_held;
}

static void builders_lock_becomes_a_hold(void **state)
{
    struct place place = make_place(state);
    struct opened opened = make_temporary(&place);
    assert_false(can_lock(&place, opened.file.temporary_name, LOCK_SH));
    char name[sizeof opened.file.temporary_name];
    memcpy(name, opened.file.temporary_name, sizeof name);

    assert_int_equal(kv_index_file_name(&place.dir->directory, &opened.file),
                     KVSTORE_OK);

    assert_false(store_dir_has(place.dir, name));
    assert_true(can_lock(&place, KV_INDEX_NAME, LOCK_EX));
    assert_true(is_held(&place));
    release(&place, &opened);
    assert_false(is_held(&place));
    assert_true(store_dir_has(place.dir, KV_INDEX_NAME));
    assert_true(can_lock(&place, KV_INDEX_NAME, LOCK_EX));
    kv_log_close(&place.log);
}

static int failing_renameat(int dir_fd, const char *from, const char *to)
{
    (void)dir_fd;
    (void)from;
    (void)to;
    errno = EIO;
    return -1;
}

static void failed_naming_leaves_a_temporary(void **state)
{
    struct place place = make_place(state);
    struct opened opened = make_temporary(&place);
    table = *kv_io_system_table();
    table.renameat = failing_renameat;

    kv_io_swap_table(&table);
    kvstore_status status =
        kv_index_file_name(&place.dir->directory, &opened.file);
    use_system_table();

    assert_int_equal(status, KVSTORE_IO);
    assert_false(opened.file.has_name);
    assert_false(store_dir_has(place.dir, KV_INDEX_NAME));
    assert_int_equal(count_temporaries(place.dir), 1);
    release(&place, &opened);
    assert_int_equal(count_temporaries(place.dir), 0);
    kv_log_close(&place.log);
}

/* --- Opening --- */

static void named_index_is_trusted(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    struct kv_table_totals totals = kv_table_no_totals();
    totals.applied = 77;
    atomic_store(&made.table.header->end, 77);
    kv_table_store_totals(&made.table, &totals);
    release(&place, &made);
    struct opened opened;

    assert_int_equal(try_open(&place, true, &opened), KV_INDEX_FILE_TRUSTED);

    assert_true(kv_table_load_totals(&opened.table, &totals));
    assert_int_equal(totals.applied, 77);
    assert_secret(&opened);
    assert_true(opened.file.is_writable);
    assert_true(is_held(&place));
    release(&place, &opened);
    kv_log_close(&place.log);
}

static void read_only_mapping_is_trusted(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    struct opened opened;

    assert_int_equal(try_open(&place, false, &opened), KV_INDEX_FILE_TRUSTED);

    assert_false(opened.file.is_writable);
    atomic_store(&made.table.header->end, 99);
    assert_int_equal(opened.table.header->end, 99);
    release(&place, &opened);
    release(&place, &made);
    kv_log_close(&place.log);
}

static void state_decides(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);

    atomic_store(&made.table.header->state, KV_TABLE_SWITCHING);
    assert_trust(&place, KV_INDEX_FILE_UNSETTLED);
    atomic_store(&made.table.header->state, KV_TABLE_SUPERSEDED);
    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
    atomic_store(&made.table.header->state, 0);
    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
    atomic_store(&made.table.header->state, KV_TABLE_LIVE);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);

    release(&place, &made);
    kv_log_close(&place.log);
}

static void index_of_another_log_is_not_trusted(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    struct place other = place;

    other.view.identity.log_inode++;
    assert_trust(&other, KV_INDEX_FILE_UNTRUSTED);
    other = place;
    other.view.identity.log_device++;
    assert_trust(&other, KV_INDEX_FILE_UNTRUSTED);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);

    release(&place, &made);
    kv_log_close(&place.log);
}

/* A file system gives the inode number of a deleted file to the next one. */
static void born_log(int fd, struct kv_io_birth *birth_out)
{
    (void)fd;
    *birth_out = (struct kv_io_birth){.time_ns = 77, .generation = 5};
}

static void index_of_an_earlier_log_of_the_same_number_is_not_trusted(
    void **state)
{
    struct place place = make_place(state);
    table = *kv_io_system_table();
    table.birth = born_log;
    kv_io_swap_table(&table);
    struct opened made = make_named(&place);
    use_system_table();

    place.view.identity.log_birth_ns = 78;
    place.view.identity.log_generation = 5;
    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
    place.view.identity.log_birth_ns = 77;
    place.view.identity.log_generation = 6;
    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
    place.view.identity.log_generation = 5;
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);

    release(&place, &made);
    kv_log_close(&place.log);
}

static void birth_that_is_not_told_is_not_compared(void **state)
{
    struct place place = make_place(state);
    table = *kv_io_system_table();
    table.birth = born_log;
    kv_io_swap_table(&table);
    struct opened made = make_named(&place);
    use_system_table();

    place.view.identity.log_birth_ns = 0;
    place.view.identity.log_generation = 5;
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    place.view.identity.log_birth_ns = 77;
    place.view.identity.log_generation = 0;
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);

    release(&place, &made);
    kv_log_close(&place.log);
}

static void index_of_another_boot_must_be_checked(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    struct place rebooted = place;
    rebooted.view.boot_id++;

    assert_trust(&rebooted, KV_INDEX_FILE_UNCHECKED);

    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    kv_log_close(&place.log);
}

/* What a check would do that has found it true. */
static void vouch(const struct place *place)
{
    struct opened opened;
    assert_int_equal(try_open(place, true, &opened), KV_INDEX_FILE_UNCHECKED);
    assert_int_equal(
        kv_index_file_vouch(&opened.file, &opened.table, &place->view),
        KV_INDEX_FILE_TRUSTED);
    release(place, &opened);
}

static void checked_index_is_known_in_both_boots(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    struct place rebooted = place;
    place.view.mount_id = rebooted.view.mount_id = LASTING_MOUNT;
    vouch(&place);
    rebooted.view.boot_id++;

    vouch(&rebooted);

    assert_trust(&rebooted, KV_INDEX_FILE_TRUSTED);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    kv_log_close(&place.log);
}

/* The number may be another mount's by now. */
static void other_boot_takes_away_what_a_reused_mount_proves(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    struct place rebooted = place;
    place.view.mount_id = OTHER_MOUNT;
    vouch(&place);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    rebooted.view.boot_id++;
    rebooted.view.mount_id = LASTING_MOUNT;

    vouch(&rebooted);

    assert_trust(&place, KV_INDEX_FILE_UNCHECKED);
    kv_log_close(&place.log);
}

static void more_boots_than_fit_forget_the_oldest(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    place.view.mount_id = LASTING_MOUNT;
    vouch(&place);
    struct place later = place;
    for (int i = 0; i < KV_TABLE_BOOTS; i++) {
        assert_trust(&place, KV_INDEX_FILE_TRUSTED);
        later.view.boot_id++;
        vouch(&later);
        assert_trust(&later, KV_INDEX_FILE_TRUSTED);
    }

    assert_trust(&place, KV_INDEX_FILE_UNCHECKED);
    assert_trust(&later, KV_INDEX_FILE_TRUSTED);
    kv_log_close(&place.log);
}

/* Any process that may read the file can hold a lock on it. */
static void lock_vouches_for_no_other_boot(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    struct place rebooted = place;
    rebooted.view.boot_id++;

    assert_trust(&rebooted, KV_INDEX_FILE_UNCHECKED);

    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    release(&place, &made);
    kv_log_close(&place.log);
}

static void exclusive_lock_of_a_reader_takes_no_trust_away(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    struct kv_io_file reader;
    bool is_locked = false;
    assert_int_equal(
        kv_io_open(&place.dir->directory, KV_INDEX_NAME, KV_IO_READ, &reader),
        KVSTORE_OK);
    assert_int_equal(kv_io_try_lock(&reader, &is_locked), KVSTORE_OK);
    assert_true(is_locked);

    assert_trust(&place, KV_INDEX_FILE_TRUSTED);

    kv_io_close(&reader);
    kv_log_close(&place.log);
}

static struct place *asker_place;

/* Another process asks the same, and has asked already, at the worst moment. */
static bool is_held_beside_an_asker(int fd)
{
    struct place other = *asker_place;
    struct opened asker;
    other.view.mount_id = OTHER_MOUNT + 1;
    table.is_held = kv_io_system_table()->is_held;
    assert_int_equal(try_open(&other, false, &asker), KV_INDEX_FILE_UNCHECKED);
    bool is_held = kv_io_system_table()->is_held(fd);
    release(&other, &asker);
    return is_held;
}

static void asking_for_holders_makes_none(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    struct place other = place;
    other.view.mount_id = OTHER_MOUNT;
    asker_place = &place;
    table = *kv_io_system_table();
    table.is_held = is_held_beside_an_asker;

    kv_io_swap_table(&table);
    assert_trust(&other, KV_INDEX_FILE_UNCHECKED);
    use_system_table();

    kv_log_close(&place.log);
}

static int no_boot_id(uint64_t *id_out)
{
    *id_out = 0;
    return 0;
}

/* Not even by a process that holds it, which may be of another boot. */
static void boot_that_is_not_told_is_never_known(void **state)
{
    struct place place = make_place(state);
    place.view.boot_id = 0;
    table = *kv_io_system_table();
    table.boot_id = no_boot_id;
    kv_io_swap_table(&table);
    struct opened made = make_named(&place);
    use_system_table();

    assert_trust(&place, KV_INDEX_FILE_UNCHECKED);
    vouch(&place);
    assert_trust(&place, KV_INDEX_FILE_UNCHECKED);

    release(&place, &made);
    assert_int_equal(state_on_disk(&place), KV_TABLE_LIVE);
    kv_log_close(&place.log);
}

static void index_of_another_mount_must_be_checked(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    struct place other = place;
    other.view.mount_id = OTHER_MOUNT;

    assert_trust(&other, KV_INDEX_FILE_UNCHECKED);

    assert_int_equal(state_on_disk(&place), KV_TABLE_LIVE);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    vouch(&other);
    assert_trust(&other, KV_INDEX_FILE_TRUSTED);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    kv_log_close(&place.log);
}

/* A handle that may not write the index leaves it to those that may. */
static void read_only_probe_changes_nothing(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);

    struct place other = place;
    other.view.mount_id = OTHER_MOUNT;
    assert_int_equal(try_open(&other, false, &made), KV_INDEX_FILE_UNCHECKED);
    assert_int_equal(kv_index_file_vouch(&made.file, &made.table, &other.view),
                     KV_INDEX_FILE_TRUSTED);
    release(&place, &made);
    assert_trust(&other, KV_INDEX_FILE_UNCHECKED);

    assert_int_equal(state_on_disk(&place), KV_TABLE_LIVE);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    kv_log_close(&place.log);
}

static void mount_of_a_held_index_is_added(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);

    struct place other = place;
    other.view.mount_id = OTHER_MOUNT;
    assert_trust(&other, KV_INDEX_FILE_TRUSTED);

    release(&place, &made);
    assert_trust(&other, KV_INDEX_FILE_TRUSTED);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    kv_log_close(&place.log);
}

static void more_mounts_than_fit_take_turns(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    for (uint64_t i = 1; i <= UINT64_C(3) * KV_TABLE_MOUNTS; i++) {
        place.view.mount_id = LASTING_MOUNT + i;
        assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    }

    release(&place, &made);

    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    place.view.mount_id = OTHER_MOUNT;
    assert_trust(&place, KV_INDEX_FILE_UNCHECKED);
    kv_log_close(&place.log);
}

static void mount_that_is_not_told_is_never_known(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    struct place other = place;
    other.view.mount_id = 0;

    assert_trust(&other, KV_INDEX_FILE_UNCHECKED);
    vouch(&other);
    assert_trust(&other, KV_INDEX_FILE_UNCHECKED);

    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    release(&place, &made);
    kv_log_close(&place.log);
}

/* What it takes to use an index, and may be refused to this process alone. */
static void refused_call_takes_no_index_away(void **state)
{
    static const int open_errors[] = {EMFILE, ENFILE, ENOMEM, ENOSYS};
    static const int map_errors[] = {
        EACCES, EAGAIN, EINVAL, ENFILE, ENODEV, ENOMEM, ENOSYS, EOPNOTSUPP};
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    for (size_t i = 0; i < sizeof open_errors / sizeof *open_errors; i++) {
        refuse_open(open_errors[i]);
        assert_trust(&place, KV_INDEX_FILE_UNUSABLE);
        assert_int_equal(kvstore_last_error()->system_errno, open_errors[i]);
    }
    for (size_t i = 0; i < sizeof map_errors / sizeof *map_errors; i++) {
        refuse_map(map_errors[i]);
        assert_trust(&place, KV_INDEX_FILE_UNUSABLE);
        assert_int_equal(kvstore_last_error()->system_errno, map_errors[i]);
    }
    use_system_table();

    assert_int_equal(state_on_disk(&place), KV_TABLE_LIVE);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    kv_log_close(&place.log);
}

static int failing_hold(int fd)
{
    (void)fd;
    errno = ENOLCK;
    return -1;
}

static bool never_held(int fd)
{
    (void)fd;
    return false;
}

static void lock_that_fails_takes_no_index_away(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    struct place other = place;
    other.view.mount_id = OTHER_MOUNT;
    kvstore_error before = *kvstore_last_error();
    table = *kv_io_system_table();
    table.flock = failing_flock;
    table.hold = failing_hold;
    table.is_held = never_held;
    kv_io_swap_table(&table);
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    assert_trust(&other, KV_INDEX_FILE_UNCHECKED);
    use_system_table();

    assert_int_equal(kvstore_last_error()->status, before.status);
    assert_trust(&other, KV_INDEX_FILE_TRUSTED);
    release(&place, &made);
    kv_log_close(&place.log);
}

/* --- What may have the name --- */

static void absent_index_is_not_trusted(void **state)
{
    struct place place = make_place(state);

    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);

    assert_false(store_dir_has(place.dir, KV_INDEX_NAME));
    kv_log_close(&place.log);
}

static void file_of_another_size_is_not_trusted(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    uint64_t size = kv_table_region_size(BUCKETS);
    const uint64_t sizes[] = {2 * size,
                              UINT64_C(1) << 40,
                              UINT64_C(5) << 40,
                              size + 1,
                              size - 1,
                              KV_TABLE_HEADER_SIZE + 1,
                              KV_TABLE_HEADER_SIZE,
                              KV_TABLE_HEADER_SIZE - 1,
                              1,
                              0};
    assert_trust(&place, KV_INDEX_FILE_TRUSTED);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        /* A file system may not allow files as long as that. */
        if (truncate(store_dir_path(place.dir, KV_INDEX_NAME),
                     (off_t)sizes[i]) == 0) {
            assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
        }
    }
    kv_log_close(&place.log);
}

static void other_bytes_are_not_trusted(void **state)
{
    struct place place = make_place(state);
    size_t size = kv_table_region_size(BUCKETS);
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (int byte = 0; byte < 256; byte += 51) {
        memset(bytes, byte, size);
        store_dir_write(place.dir, KV_INDEX_NAME, bytes, size);

        assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
    }
    free(bytes);
    kv_log_close(&place.log);
}

static void what_is_no_file_is_not_trusted(void **state)
{
    struct place place = make_place(state);
    struct opened made = make_named(&place);
    release(&place, &made);
    char path[sizeof place.dir->path + 64];
    (void)snprintf(
        path, sizeof path, "%s", store_dir_path(place.dir, KV_INDEX_NAME));

    assert_int_equal(rename(path, store_dir_path(place.dir, "real")), 0);
    assert_int_equal(symlink("real", path), 0);
    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_trust(&place, KV_INDEX_FILE_UNTRUSTED);

    kv_log_close(&place.log);
}

/* --- Afterwards --- */

static bool is_current(const struct place *place, const struct opened *opened)
{
    bool is_current = false;
    assert_int_equal(kv_index_file_is_current(
                         &place->dir->directory, &opened->file, &is_current),
                     KVSTORE_OK);
    return is_current;
}

static void lost_name_is_seen(void **state)
{
    struct place place = make_place(state);
    struct opened older = make_named(&place);
    char moved[4096];
    (void)snprintf(
        moved, sizeof moved, "%s", store_dir_path(place.dir, "moved"));
    assert_true(is_current(&place, &older));

    struct opened newer = make_named(&place);

    assert_false(is_current(&place, &older));
    assert_true(is_current(&place, &newer));
    assert_int_equal(rename(store_dir_path(place.dir, KV_INDEX_NAME), moved),
                     0);
    assert_false(is_current(&place, &newer));
    release(&place, &older);
    release(&place, &newer);
    kv_log_close(&place.log);
}

static void sweep_takes_what_nobody_builds(void **state)
{
    static const char dead[] = KV_INDEX_NAME ".0123456789abcdef.tmp";
    struct place place = make_place(state);
    struct opened named = make_named(&place);
    struct opened built = make_temporary(&place);
    store_dir_write(place.dir, dead, "x", 1);
    store_dir_write(place.dir, "store.log.tmp", "x", 1);
    store_dir_write(place.dir, KV_INDEX_NAME ".tmp1", "x", 1);

    kv_index_file_sweep(&place.dir->directory);

    assert_false(store_dir_has(place.dir, dead));
    assert_true(store_dir_has(place.dir, built.file.temporary_name));
    assert_true(store_dir_has(place.dir, KV_INDEX_NAME));
    assert_true(store_dir_has(place.dir, KV_LOG_NAME));
    assert_true(store_dir_has(place.dir, "store.log.tmp"));
    assert_true(store_dir_has(place.dir, KV_INDEX_NAME ".tmp1"));
    release(&place, &built);
    release(&place, &named);
    kv_log_close(&place.log);
}

#define LEFT_OVER KV_INDEX_NAME ".fedcba9876543210.tmp"

static int forbidden_openat(int dir_fd,
                            const char *name,
                            int flags,
                            mode_t mode)
{
    if (strcmp(name, LEFT_OVER) == 0) {
        errno = EACCES;
        return -1;
    }
    return kv_io_system_table()->openat(dir_fd, name, flags, mode);
}

static void sweep_takes_what_it_may_not_open(void **state)
{
    struct place place = make_place(state);
    store_dir_write(place.dir, LEFT_OVER, "x", 1);
    table = *kv_io_system_table();
    table.openat = forbidden_openat;
    kv_io_swap_table(&table);

    kv_index_file_sweep(&place.dir->directory);

    kv_io_swap_table(kv_io_system_table());
    assert_false(store_dir_has(place.dir, LEFT_OVER));
    kv_log_close(&place.log);
}

static const struct store_dir *swept_dir;
static int sweeps;

/* A sweep runs just before a new file is locked. */
static int flock_behind_a_sweep(int fd, int operation)
{
    if (sweeps == 0) {
        sweeps = 1;
        kv_io_swap_table(kv_io_system_table());
        kv_index_file_sweep(&swept_dir->directory);
    }
    return kv_io_system_table()->flock(fd, operation);
}

static void file_that_is_swept_before_its_lock_is_made_again(void **state)
{
    struct place place = make_place(state);
    struct kv_io_table sweeping = *kv_io_system_table();
    sweeping.flock = flock_behind_a_sweep;
    swept_dir = place.dir;
    sweeps = 0;
    kv_io_swap_table(&sweeping);

    struct opened built = make_temporary(&place);

    kv_io_swap_table(kv_io_system_table());
    assert_int_equal(sweeps, 1);
    assert_true(store_dir_has(place.dir, built.file.temporary_name));
    release(&place, &built);
    kv_log_close(&place.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(private_index_is_empty_and_has_no_file),
        STORE_TEST(private_index_without_memory_fails),
        STORE_TEST(slots_are_filled_in_before_the_format),
        STORE_TEST(new_file_has_all_its_room_and_no_name),
        STORE_TEST(new_file_is_as_open_as_the_log),
        STORE_TEST(full_disk_leaves_no_file),
        STORE_TEST(failed_creation_leaves_no_file),
        STORE_TEST(name_in_the_way_is_told),
        STORE_TEST(builders_lock_becomes_a_hold),
        STORE_TEST(failed_naming_leaves_a_temporary),
        STORE_TEST(named_index_is_trusted),
        STORE_TEST(read_only_mapping_is_trusted),
        STORE_TEST(state_decides),
        STORE_TEST(index_of_another_log_is_not_trusted),
        STORE_TEST(index_of_an_earlier_log_of_the_same_number_is_not_trusted),
        STORE_TEST(birth_that_is_not_told_is_not_compared),
        STORE_TEST(index_of_another_boot_must_be_checked),
        STORE_TEST(checked_index_is_known_in_both_boots),
        STORE_TEST(other_boot_takes_away_what_a_reused_mount_proves),
        STORE_TEST(more_boots_than_fit_forget_the_oldest),
        STORE_TEST(read_only_probe_changes_nothing),
        STORE_TEST(lock_vouches_for_no_other_boot),
        STORE_TEST(exclusive_lock_of_a_reader_takes_no_trust_away),
        STORE_TEST(asking_for_holders_makes_none),
        STORE_TEST(boot_that_is_not_told_is_never_known),
        STORE_TEST(index_of_another_mount_must_be_checked),
        STORE_TEST(mount_of_a_held_index_is_added),
        STORE_TEST(more_mounts_than_fit_take_turns),
        STORE_TEST(mount_that_is_not_told_is_never_known),
        STORE_TEST(refused_call_takes_no_index_away),
        STORE_TEST(lock_that_fails_takes_no_index_away),
        STORE_TEST(absent_index_is_not_trusted),
        STORE_TEST(file_of_another_size_is_not_trusted),
        STORE_TEST(other_bytes_are_not_trusted),
        STORE_TEST(what_is_no_file_is_not_trusted),
        STORE_TEST(lost_name_is_seen),
        STORE_TEST(sweep_takes_what_nobody_builds),
        STORE_TEST(sweep_takes_what_it_may_not_open),
        STORE_TEST(file_that_is_swept_before_its_lock_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
