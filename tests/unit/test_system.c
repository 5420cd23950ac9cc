/* SPDX-License-Identifier: MIT */

/* Does the system's own table say what its members' names promise, where the
 * system refuses? */

#include "os/system.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

/* A descriptor that is not open. */
static int closed_fd(void)
{
    int fd = open("/", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return fd;
}

static void what_is_not_known_is_nothing(void **state)
{
    (void)state;
    const struct kv_io_table *table = kv_io_system_table();
    struct kv_io_birth birth = {.time_ns = 1, .generation = 1};
    int fd = closed_fd();

    assert_int_equal(table->file_system_type(fd), -1);
    assert_int_equal(table->mount_id(fd), 0);
    assert_false(table->is_held(fd));
    assert_null(table->opendir(fd));
    table->birth(fd, &birth);
    assert_int_equal(birth.time_ns, 0);
    assert_int_equal(birth.generation, 0);
}

/* A list that cannot be read is no missing list. */
static void access_list_of_a_closed_file_is_an_error(void **state)
{
    (void)state;
    char bytes[16];
    assert_int_equal(
        kv_io_system_table()->get_access_list(closed_fd(), bytes, sizeof bytes),
        -1);
    assert_int_equal(errno, EBADF);
}

/* What the kernel makes up has no list, and was made at no time. */
static void file_of_the_kernel_has_no_list_and_no_birth(void **state)
{
    (void)state;
    const struct kv_io_table *table = kv_io_system_table();
    struct kv_io_birth birth = {.time_ns = 1, .generation = 1};
    char bytes[16];
    int fd = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        skip();
    }

    ssize_t size = table->get_access_list(fd, bytes, sizeof bytes);
    table->birth(fd, &birth);

    assert_int_equal(close(fd), 0);
    assert_int_equal(size, 0);
    assert_int_equal(birth.time_ns, 0);
    assert_int_equal(birth.generation, 0);
}

static void open_file_is_known(void **state)
{
    (void)state;
    const struct kv_io_table *table = kv_io_system_table();
    uint64_t id = 0;
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);

    assert_true(table->file_system_type(fd) != -1);
    DIR *directory = table->opendir(fd);
    assert_non_null(directory);
    assert_int_equal(table->closedir(directory), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(table->boot_id(&id), 0);
}

/* That the process has no descriptor left is a failure; that the system tells
 * nothing would be none. */
static void boot_is_not_told_without_a_descriptor(void **state)
{
    (void)state;
    struct rlimit limit;
    uint64_t id = 1;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);

    int result = kv_io_system_table()->boot_id(&id);
    int call_errno = errno;

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, -1);
    assert_int_equal(call_errno, EMFILE);
    assert_int_equal(id, 0);
}

static void size_limit_is_that_of_the_process(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    if (limit.rlim_cur != RLIM_INFINITY) {
        skip();
    }
    assert_true(kv_io_system_table()->size_limit() == UINT64_MAX);
    const struct rlimit low = {.rlim_cur = 1 << 30, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);

    assert_int_equal(kv_io_system_table()->size_limit(), 1 << 30);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void ignore(int signal_number)
{
    (void)signal_number;
}

/* A signal that comes meanwhile does not end it. */
static void sleep_is_as_long_as_asked(void **state)
{
    (void)state;
    const struct kv_io_table *table = kv_io_system_table();
    const int64_t ns = 30000000;
    const struct itimerval often = {.it_interval = {.tv_usec = 5000},
                                    .it_value = {.tv_usec = 5000}};
    const struct itimerval never = {.it_value = {.tv_usec = 0}};
    struct sigaction action = {.sa_handler = ignore};
    struct sigaction before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);

    int64_t start_ns = table->clock_ns();
    table->sleep_ns(ns);
    int64_t slept_ns = table->clock_ns() - start_ns;

    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_true(slept_ns >= ns);
}

/* Of a time that is over, the system says that it is invalid. */
static void sleep_of_no_time_ends_at_once(void **state)
{
    (void)state;
    const struct kv_io_table *table = kv_io_system_table();
    int64_t start_ns = table->clock_ns();

    table->sleep_ns(0);
    table->sleep_ns(-1);

    assert_true(table->clock_ns() - start_ns < INT64_C(10000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_nothing),
        cmocka_unit_test(access_list_of_a_closed_file_is_an_error),
        cmocka_unit_test(file_of_the_kernel_has_no_list_and_no_birth),
        cmocka_unit_test(open_file_is_known),
        cmocka_unit_test(boot_is_not_told_without_a_descriptor),
        cmocka_unit_test(size_limit_is_that_of_the_process),
        cmocka_unit_test(sleep_is_as_long_as_asked),
        cmocka_unit_test(sleep_of_no_time_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
