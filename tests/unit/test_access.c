/* SPDX-License-Identifier: MIT */

/* Does os/access.c do what its header promises? */

#include "os/access.h"
#include "os/error.h"
#include "store_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A system where no file can be given away, and where the model's owner and
 * group are shifted. */
static struct {
    struct kv_io_table table;
    struct kv_io_file file;
    struct kv_io_file model;
    uid_t owner_shift;
    gid_t group_shift;
} world;

static int refused_fchown(int fd, uid_t owner, gid_t group)
{
    (void)fd;
    (void)owner;
    (void)group;
    errno = EPERM;
    return -1;
}

static int foreign_fstat(int fd, struct stat *stat_out)
{
    int result = kv_io_system_table()->fstat(fd, stat_out);
    if (fd == world.model.fd) {
        stat_out->st_uid += world.owner_shift;
        stat_out->st_gid += world.group_shift;
    }
    return result;
}

static struct kv_io_file open_file(const struct store_dir *dir,
                                   const char *name)
{
    struct kv_io_file file;
    assert_int_equal(
        kv_io_open(&dir->directory, name, KV_IO_WRITE_CREATE, &file),
        KVSTORE_OK);
    return file;
}

static int set_up(void **state)
{
    int result = store_dir_set_up(state);
    memset(&world, 0, sizeof world);
    world.table = *kv_io_system_table();
    world.table.fchown = refused_fchown;
    world.table.fstat = foreign_fstat;
    world.file = open_file(*state, "file");
    world.model = open_file(*state, "model");
    kv_io_swap_table(&world.table);
    return result;
}

static int tear_down(void **state)
{
    kv_io_swap_table(kv_io_system_table());
    kv_io_close(&world.file);
    kv_io_close(&world.model);
    return store_dir_tear_down(state);
}

#define ACCESS_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static mode_t mode_of(const struct kv_io_file *file)
{
    struct kv_io_stat stat;
    assert_int_equal(kv_io_stat(file, &stat), KVSTORE_OK);
    return stat.mode;
}

/* --- Owner, group, mode --- */

static void adopted_mode_has_no_execute_bits(void **state)
{
    (void)state;
    struct kv_io_stat model;
    assert_int_equal(kv_io_stat(&world.file, &model), KVSTORE_OK);
    model.mode = 0755;

    assert_int_equal(kv_io_adopt(&world.file, &model), KVSTORE_OK);

    assert_int_equal(mode_of(&world.file), 0644);
}

static void group_that_cannot_be_set_gets_what_others_get(void **state)
{
    (void)state;
    struct kv_io_stat model;
    assert_int_equal(kv_io_stat(&world.file, &model), KVSTORE_OK);
    model.mode = 0664;
    model.group++;
    assert_int_equal(kv_io_adopt(&world.file, &model), KVSTORE_OK);
    assert_int_equal(mode_of(&world.file), 0644);

    model.mode = 0606;
    assert_int_equal(kv_io_adopt(&world.file, &model), KVSTORE_OK);
    assert_int_equal(mode_of(&world.file), 0666);
}

static void place_is_refused_where_it_locks_somebody_out(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        uid_t owner_shift;
        gid_t group_shift;
        bool is_refused;
    } cases[] = {
        {0600, 0, 0, false},
        {0600, 1, 0, true},
        {0640, 1, 0, true},
        {0660, 1, 0, false}, /* The owner is in the group. */
        {0606, 1, 0, true},
        {0660, 1, 1, true},
        {0606, 1, 1, false},
        {0666, 1, 1, false},
        {0600, 0, 1, false},
        {0640, 0, 1, true},
        {0644, 0, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(fchmod(world.model.fd, cases[i].mode), 0);
        world.owner_shift = cases[i].owner_shift;
        world.group_shift = cases[i].group_shift;

        kvstore_status status = kv_io_adopt_place(&world.file, &world.model);

        assert_int_equal(status, cases[i].is_refused ? KVSTORE_IO : KVSTORE_OK);
        if (cases[i].is_refused) {
            assert_int_equal(kvstore_last_error()->system_errno, EPERM);
        }
    }
}

/* --- Access control lists --- */

/* u::rw-,u:1234:rw-,g::---,m::rw-,o::--- as the kernel stores it: the version,
 * then tag, permissions and identifier of each. */
static const unsigned char list[] = {
    2,    0,    0,    0,    1,  0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2,  0, 6, 0,
    0xd2, 4,    0,    0,    4,  0, 0, 0, 0xff, 0xff, 0xff, 0xff, 16, 0, 6, 0,
    0xff, 0xff, 0xff, 0xff, 32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};

static void give_list(const struct kv_io_file *file)
{
    if (kv_io_system_table()->set_access_list(file->fd, list, sizeof list) !=
        0) {
        assert_int_equal(errno, ENOTSUP);
        skip();
    }
}

static ssize_t list_size(const struct kv_io_file *file)
{
    char bytes[256];
    return kv_io_system_table()->get_access_list(file->fd, bytes, sizeof bytes);
}

static void access_list_is_kept(void **state)
{
    (void)state;
    char bytes[256];
    give_list(&world.model);

    assert_int_equal(kv_io_adopt_place(&world.file, &world.model), KVSTORE_OK);

    assert_int_equal(kv_io_system_table()->get_access_list(
                         world.file.fd, bytes, sizeof bytes),
                     sizeof list);
    assert_memory_equal(bytes, list, sizeof list);
    assert_int_equal(mode_of(&world.file), 0660);
}

/* A file gets such a list from its directory when it is made. */
static void list_that_the_model_lacks_goes(void **state)
{
    (void)state;
    give_list(&world.file);

    assert_int_equal(kv_io_adopt_place(&world.file, &world.model), KVSTORE_OK);

    assert_int_equal(list_size(&world.file), 0);
    assert_int_equal(mode_of(&world.file), 0600);
}

static void list_is_not_given_to_another_group(void **state)
{
    (void)state;
    give_list(&world.model);
    world.group_shift = 1;

    assert_int_equal(kv_io_adopt_file(&world.file, &world.model), KVSTORE_OK);

    assert_int_equal(list_size(&world.file), 0);
    assert_int_equal(mode_of(&world.file), 0600);
    assert_int_equal(kv_io_adopt_place(&world.file, &world.model), KVSTORE_IO);
}

/* --- The order of steps --- */

static char steps[256];

static void note_step(const char *format, unsigned number)
{
    size_t used = strlen(steps);
    (void)snprintf(steps + used, sizeof steps - used, format, number);
}

static int noted_fchown(int fd, uid_t owner, gid_t group)
{
    (void)fd;
    (void)owner;
    (void)group;
    note_step("owner; ", 0);
    return 0;
}

static int noted_fchmod(int fd, mode_t mode)
{
    note_step("mode %o; ", (unsigned)mode);
    return kv_io_system_table()->fchmod(fd, mode);
}

static int noted_set_access_list(int fd, const void *bytes, size_t size)
{
    note_step("list of %u; ", (unsigned)size);
    return kv_io_system_table()->set_access_list(fd, bytes, size);
}

static void note_steps(void)
{
    world.table.fchown = noted_fchown;
    world.table.fchmod = noted_fchmod;
    world.table.set_access_list = noted_set_access_list;
    world.owner_shift = 1;
    world.group_shift = 1;
    steps[0] = '\0';
}

static void nobody_has_more_than_in_the_end(void **state)
{
    (void)state;
    note_steps();
    assert_int_equal(fchmod(world.model.fd, 0640), 0);
    assert_int_equal(kv_io_adopt_file(&world.file, &world.model), KVSTORE_OK);
    assert_string_equal(steps, "owner; mode 640; ");

    steps[0] = '\0';
    assert_int_equal(fchmod(world.model.fd, 0464), 0);
    assert_int_equal(kv_io_adopt_file(&world.file, &world.model), KVSTORE_OK);
    assert_string_equal(steps, "mode 400; owner; mode 464; ");
}

static void mode_alone_is_set_by_one_call(void **state)
{
    (void)state;
    note_steps();
    world.owner_shift = 0;
    world.group_shift = 0;
    assert_int_equal(fchmod(world.file.fd, 0660), 0);
    assert_int_equal(fchmod(world.model.fd, 0640), 0);

    assert_int_equal(kv_io_adopt_place(&world.file, &world.model), KVSTORE_OK);
    assert_string_equal(steps, "mode 640; ");
    assert_int_equal(kv_io_adopt_place(&world.file, &world.model), KVSTORE_OK);

    assert_string_equal(steps, "mode 640; ");
}

static void group_gets_nothing_before_the_list(void **state)
{
    (void)state;
    give_list(&world.model);
    note_steps();

    assert_int_equal(kv_io_adopt_file(&world.file, &world.model), KVSTORE_OK);

    assert_string_equal(steps, "owner; list of 44; ");
    assert_int_equal(list_size(&world.file), sizeof list);
}

static void group_gets_nothing_before_the_list_goes(void **state)
{
    (void)state;
    give_list(&world.file);
    assert_int_equal(fchmod(world.model.fd, 0640), 0);
    note_steps();
    world.owner_shift = 0;
    world.group_shift = 0;

    assert_int_equal(kv_io_adopt_file(&world.file, &world.model), KVSTORE_OK);

    assert_string_equal(steps, "mode 600; list of 0; mode 640; ");
    assert_int_equal(list_size(&world.file), 0);
}

static void owner_beside_a_list_is_not_locked_out(void **state)
{
    (void)state;
    give_list(&world.model);
    world.owner_shift = 1;

    assert_int_equal(kv_io_adopt_place(&world.file, &world.model), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, EPERM);
}

static ssize_t long_list(int fd, void *buffer, size_t size)
{
    (void)fd;
    (void)buffer;
    (void)size;
    errno = ERANGE;
    return -1;
}

static void list_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    world.table.get_access_list = long_list;

    assert_int_equal(kv_io_adopt_place(&world.file, &world.model), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, ERANGE);
}

static int refused_set_access_list(int fd, const void *bytes, size_t size)
{
    (void)fd;
    (void)bytes;
    (void)size;
    errno = ENOSPC;
    return -1;
}

/* The mode would give the group of the list's mask what the list denies it. */
static void list_that_cannot_be_set_is_an_error(void **state)
{
    (void)state;
    give_list(&world.model);
    world.table.set_access_list = refused_set_access_list;

    assert_int_equal(kv_io_adopt_file(&world.file, &world.model), KVSTORE_IO);
    assert_int_equal(kvstore_last_error()->system_errno, ENOSPC);
    assert_int_equal(mode_of(&world.file), 0600);
}

static void list_that_cannot_be_taken_away_is_an_error(void **state)
{
    (void)state;
    give_list(&world.file);
    assert_int_equal(fchmod(world.model.fd, 0640), 0);
    world.table.set_access_list = refused_set_access_list;

    assert_int_equal(kv_io_adopt_file(&world.file, &world.model), KVSTORE_IO);
    assert_int_equal(mode_of(&world.file), 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCESS_TEST(adopted_mode_has_no_execute_bits),
        ACCESS_TEST(group_that_cannot_be_set_gets_what_others_get),
        ACCESS_TEST(place_is_refused_where_it_locks_somebody_out),
        ACCESS_TEST(access_list_is_kept),
        ACCESS_TEST(list_that_the_model_lacks_goes),
        ACCESS_TEST(list_is_not_given_to_another_group),
        ACCESS_TEST(nobody_has_more_than_in_the_end),
        ACCESS_TEST(mode_alone_is_set_by_one_call),
        ACCESS_TEST(group_gets_nothing_before_the_list),
        ACCESS_TEST(group_gets_nothing_before_the_list_goes),
        ACCESS_TEST(owner_beside_a_list_is_not_locked_out),
        ACCESS_TEST(list_that_cannot_be_read_is_an_error),
        ACCESS_TEST(list_that_cannot_be_set_is_an_error),
        ACCESS_TEST(list_that_cannot_be_taken_away_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
