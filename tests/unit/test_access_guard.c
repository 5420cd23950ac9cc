/* SPDX-License-Identifier: MIT */

/* Does kv_io_is_as_guarded() tell a file that another user may have written? */

#include "os/access.h"
#include "os/error.h"
#include "os/system.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* Users and groups of a system of its own. */
#define OWNER 5001u
#define OTHER 5002u
#define GROUP 6001u
#define OTHER_GROUP 6002u

/* Three descriptors, each with what the system says of it. */
enum { FILE_FD = 500, MODEL_FD, DIRECTORY_FD };

static struct place {
    uid_t owner;
    gid_t group;
    mode_t mode;
    const char *list; /* NULL: none. */
} places[3];

static int failing_fd;  /* Whose stat fails. */
static int listless_fd; /* Whose list cannot be read. */

static int told_fstat(int fd, struct stat *stat_out)
{
    const struct place *place = &places[fd - FILE_FD];
    if (fd == failing_fd) {
        errno = EIO;
        return -1;
    }
    *stat_out = (struct stat){.st_mode = place->mode,
                              .st_uid = place->owner,
                              .st_gid = place->group,
                              .st_nlink = 1};
    return 0;
}

static ssize_t told_list(int fd, void *buffer, size_t size)
{
    const char *list = places[fd - FILE_FD].list;
    if (fd == listless_fd) {
        errno = EIO;
        return -1;
    }
    if (list == NULL) {
        return 0;
    }
    assert_true(strlen(list) <= size);
    memcpy(buffer, list, strlen(list));
    return (ssize_t)strlen(list);
}

static int set_up(void **state)
{
    static struct kv_io_table table;
    (void)state;
    table = *kv_io_system_table();
    table.fstat = told_fstat;
    table.get_access_list = told_list;
    kv_io_swap_table(&table);
    failing_fd = 0;
    listless_fd = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_io_swap_table(kv_io_system_table());
    return 0;
}

static kvstore_status ask(bool may_write, bool *is_guarded_out)
{
    const struct kv_io_file file = {.fd = FILE_FD, .name = "file"};
    const struct kv_io_file model = {.fd = MODEL_FD, .name = "model"};
    const struct kv_io_file directory = {.fd = DIRECTORY_FD, .name = "."};
    return kv_io_is_as_guarded(
        &file, &model, &directory, may_write, is_guarded_out);
}

struct guard_case {
    const char *what;
    struct place file;
    struct place model;
    struct place directory;
    bool may_write;
    bool is_guarded;
};

#define PRIVATE \
    { \
        OWNER, GROUP, 0700, NULL \
    }
#define OF_GROUP \
    { \
        OWNER, GROUP, 0770, NULL \
    }

static const struct guard_case cases[] = {
    {"the owner's, and his alone",
     {OWNER, GROUP, 0600, NULL},
     {OWNER, GROUP, 0600, NULL},
     PRIVATE,
     false,
     true},
    {"root's",
     {0, 0, 0644, NULL},
     {OWNER, GROUP, 0600, NULL},
     PRIVATE,
     false,
     true},
    {"another user's",
     {OTHER, GROUP, 0600, NULL},
     {OWNER, GROUP, 0600, NULL},
     PRIVATE,
     false,
     false},
    {"another user's, where others may write the model",
     {OTHER, OTHER_GROUP, 0666, NULL},
     {OWNER, GROUP, 0666, NULL},
     PRIVATE,
     false,
     true},
    {"where only others may write the model, not its group",
     {OTHER, OTHER_GROUP, 0600, NULL},
     {OWNER, GROUP, 0606, NULL},
     PRIVATE,
     false,
     false},
    {"where a list restricts those who may write the model",
     {OTHER, OTHER_GROUP, 0600, NULL},
     {OWNER, GROUP, 0666, "list"},
     PRIVATE,
     false,
     false},
    {"for all to write",
     {OWNER, GROUP, 0602, NULL},
     {OWNER, GROUP, 0660, NULL},
     OF_GROUP,
     false,
     false},
    {"for the same group to write",
     {OWNER, GROUP, 0660, NULL},
     {OWNER, GROUP, 0660, NULL},
     OF_GROUP,
     false,
     true},
    {"for another group to write",
     {OWNER, OTHER_GROUP, 0660, NULL},
     {OWNER, GROUP, 0660, NULL},
     OF_GROUP,
     false,
     false},
    {"for a group to write that may only read the model",
     {OWNER, GROUP, 0660, NULL},
     {OWNER, GROUP, 0640, NULL},
     OF_GROUP,
     false,
     false},
    {"with the model's list",
     {OWNER, GROUP, 0660, "list"},
     {OWNER, GROUP, 0660, "list"},
     OF_GROUP,
     false,
     true},
    {"with a list like the model's",
     {OWNER, GROUP, 0660, "lost"},
     {OWNER, GROUP, 0660, "list"},
     OF_GROUP,
     false,
     false},
    {"with a list that the model lacks",
     {OWNER, GROUP, 0660, "list"},
     {OWNER, GROUP, 0660, NULL},
     OF_GROUP,
     false,
     false},
    {"of one of the group",
     {OTHER, GROUP, 0660, NULL},
     {OWNER, GROUP, 0660, NULL},
     OF_GROUP,
     false,
     true},
    {"of one of the group, and his alone",
     {OTHER, GROUP, 0600, NULL},
     {OWNER, GROUP, 0660, NULL},
     OF_GROUP,
     false,
     true},
    {"of another group's",
     {OTHER, OTHER_GROUP, 0600, NULL},
     {OWNER, GROUP, 0660, NULL},
     OF_GROUP,
     false,
     false},
    {"of one of a group that may only read the model",
     {OTHER, GROUP, 0600, NULL},
     {OWNER, GROUP, 0640, NULL},
     OF_GROUP,
     false,
     false},
    {"of one of the group, where a list says who may write",
     {OTHER, GROUP, 0600, "list"},
     {OWNER, GROUP, 0660, "list"},
     OF_GROUP,
     false,
     false},
    {"of somebody whom the directory may have given the group",
     {OTHER, GROUP, 0600, NULL},
     {OWNER, GROUP, 0660, NULL},
     {OWNER, GROUP, 0777, NULL},
     false,
     false},
    {"in a sticky directory",
     {OTHER, GROUP, 0600, NULL},
     {OWNER, GROUP, 0660, NULL},
     {OWNER, GROUP, 01770, NULL},
     false,
     false},
};

static void file_is_as_guarded_as_the_model_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_guarded = !cases[i].is_guarded;
        places[0] = cases[i].file;
        places[1] = cases[i].model;
        places[2] = cases[i].directory;

        assert_int_equal(ask(cases[i].may_write, &is_guarded), KVSTORE_OK);

        if (is_guarded != cases[i].is_guarded) {
            fail_msg("a file %s: %d", cases[i].what, is_guarded);
        }
    }
}

/* A process that may write the log may also have made the index. */
static void own_file_is_guarded_if_this_process_may_write_the_model(
    void **state)
{
    (void)state;
    bool is_guarded = false;
    uid_t own = kv_io_user_id();
    places[0] = (struct place){own == 0 ? OTHER : own, GROUP, 0600, NULL};
    places[1] = (struct place){OWNER, GROUP, 0600, NULL};
    places[2] = (struct place)PRIVATE;

    assert_int_equal(ask(true, &is_guarded), KVSTORE_OK);
    assert_true(is_guarded == (own != 0));
    assert_int_equal(ask(false, &is_guarded), KVSTORE_OK);
    assert_false(is_guarded);
}

static void what_cannot_be_found_out_is_no_guard(void **state)
{
    (void)state;
    places[0] = (struct place){OTHER, GROUP, 0660, NULL};
    places[1] = (struct place){OWNER, GROUP, 0660, NULL};
    places[2] = (struct place)OF_GROUP;
    for (int fd = FILE_FD; fd <= DIRECTORY_FD; fd++) {
        bool is_guarded = true;
        failing_fd = fd;
        assert_int_equal(ask(false, &is_guarded), KVSTORE_IO);
        assert_int_equal(kvstore_last_error()->system_errno, EIO);
        assert_false(is_guarded);
    }
    failing_fd = 0;
    for (int fd = FILE_FD; fd <= MODEL_FD; fd++) {
        bool is_guarded = true;
        listless_fd = fd;
        assert_int_equal(ask(false, &is_guarded), KVSTORE_IO);
        assert_false(is_guarded);
    }
}

#define GUARD_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD_TEST(file_is_as_guarded_as_the_model_or_not),
        GUARD_TEST(own_file_is_guarded_if_this_process_may_write_the_model),
        GUARD_TEST(what_cannot_be_found_out_is_no_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
