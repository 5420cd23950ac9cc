/* SPDX-License-Identifier: MIT */

/* Does os/error.c do what its header promises? */

#include "os/error.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_last_error(kvstore_status status, const char *message)
{
    const kvstore_error *error = kvstore_last_error();
    assert_int_equal(error->status, status);
    assert_string_equal(error->message, message);
}

static void failure_while_held_leaves_no_trace(void **state)
{
    (void)state;
    (void)kv_fail_at(KVSTORE_CORRUPT, 4711, "the reason");
    kvstore_error before = *kvstore_last_error();

    kv_error_hold();
    (void)kv_fail_errno(KVSTORE_IO, ENOSPC, "a clean-up");
    kv_error_release();

    const kvstore_error *error = kvstore_last_error();
    assert_int_equal(error->status, before.status);
    assert_int_equal(error->system_errno, before.system_errno);
    assert_int_equal(error->offset, before.offset);
    assert_memory_equal(error->message, before.message, sizeof error->message);
}

static void failure_can_be_read_while_held(void **state)
{
    (void)state;
    (void)kv_fail(KVSTORE_BUSY, "the reason");

    kv_error_hold();
    assert_last_error(KVSTORE_BUSY, "the reason");
    (void)kv_fail_errno(KVSTORE_IO, ENOENT, "an attempt");
    int system_errno = kvstore_last_error()->system_errno;
    kv_error_release();

    assert_int_equal(system_errno, ENOENT);
    assert_last_error(KVSTORE_BUSY, "the reason");
}

static void each_release_puts_back_the_error_of_its_own_hold(void **state)
{
    (void)state;
    (void)kv_fail(KVSTORE_BUSY, "outside");

    kv_error_hold();
    (void)kv_fail(KVSTORE_CORRUPT, "inside");
    kv_error_hold();
    (void)kv_fail(KVSTORE_IO, "innermost");
    kv_error_hold();
    kv_error_release();
    assert_last_error(KVSTORE_IO, "innermost");
    kv_error_release();
    assert_last_error(KVSTORE_CORRUPT, "inside");
    kv_error_release();

    assert_last_error(KVSTORE_BUSY, "outside");
}

static void error_is_held_until_the_last_release(void **state)
{
    (void)state;
    assert_false(kv_error_is_held());

    kv_error_hold();
    kv_error_hold();
    assert_true(kv_error_is_held());
    kv_error_release();
    assert_true(kv_error_is_held());
    assert_int_equal(kv_error_release_after(KVSTORE_BUSY), KVSTORE_BUSY);

    assert_false(kv_error_is_held());
}

static void release_after_success_puts_the_error_back(void **state)
{
    (void)state;
    (void)kv_fail(KVSTORE_BUSY, "the reason");

    kv_error_hold();
    (void)kv_fail(KVSTORE_IO, "the first attempt");
    kvstore_status status = kv_error_release_after(KVSTORE_OK);

    assert_int_equal(status, KVSTORE_OK);
    assert_last_error(KVSTORE_BUSY, "the reason");
}

static void release_after_failure_leaves_it_the_last_error(void **state)
{
    (void)state;
    (void)kv_fail(KVSTORE_CORRUPT, "outside");

    kv_error_hold();
    (void)kv_fail(KVSTORE_BUSY, "an older error");
    kv_error_hold();
    kvstore_status status =
        kv_error_release_after(kv_fail(KVSTORE_IO, "the last attempt"));
    assert_last_error(KVSTORE_IO, "the last attempt");
    kv_error_release();

    assert_int_equal(status, KVSTORE_IO);
    assert_last_error(KVSTORE_CORRUPT, "outside");
}

/* NULL: this thread has neither a hold nor an error. */
static void *hold_in_thread(void *context)
{
    bool is_new =
        !kv_error_is_held() && kvstore_last_error()->status == KVSTORE_OK;
    kv_error_hold();
    (void)kv_fail(KVSTORE_IO, "of the other thread");
    kv_error_release();
    bool is_as_before = kvstore_last_error()->status == KVSTORE_OK &&
                        kvstore_last_error()->message[0] == '\0';
    return is_new && is_as_before ? NULL : context;
}

static void each_thread_holds_its_own_error(void **state)
{
    (void)state;
    pthread_t thread;
    int context = 0;
    void *result = &context;
    (void)kv_fail(KVSTORE_BUSY, "the reason");

    kv_error_hold();
    (void)kv_fail(KVSTORE_CORRUPT, "a clean-up");
    assert_int_equal(pthread_create(&thread, NULL, hold_in_thread, &context),
                     0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_last_error(KVSTORE_CORRUPT, "a clean-up");
    kv_error_release();

    assert_null(result);
    assert_last_error(KVSTORE_BUSY, "the reason");
}

static void long_message_gives_way_to_the_system_reason(void **state)
{
    (void)state;
    char text[sizeof kvstore_last_error()->message + 64];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    char reason[128] = ": ";
    assert_int_equal(strerror_r(ENOENT, reason + 2, sizeof reason - 2), 0);

    (void)kv_fail_errno(KVSTORE_IO, ENOENT, "%s", text);

    const char *message = kvstore_last_error()->message;
    size_t size = strlen(message);
    assert_int_equal(size, sizeof kvstore_last_error()->message - 1);
    assert_string_equal(message + size - strlen(reason), reason);
}

static void failure_under_another_status_keeps_its_text(void **state)
{
    (void)state;
    (void)kv_fail_errno(KVSTORE_IO, EACCES, "the reason");
    kvstore_error before = *kvstore_last_error();

    kvstore_status status = kv_fail_as(KVSTORE_COMPACTION_FAILED);

    assert_int_equal(status, KVSTORE_COMPACTION_FAILED);
    assert_last_error(KVSTORE_COMPACTION_FAILED, before.message);
    assert_int_equal(kvstore_last_error()->system_errno, EACCES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_while_held_leaves_no_trace),
        cmocka_unit_test(failure_can_be_read_while_held),
        cmocka_unit_test(each_release_puts_back_the_error_of_its_own_hold),
        cmocka_unit_test(error_is_held_until_the_last_release),
        cmocka_unit_test(release_after_success_puts_the_error_back),
        cmocka_unit_test(release_after_failure_leaves_it_the_last_error),
        cmocka_unit_test(each_thread_holds_its_own_error),
        cmocka_unit_test(long_message_gives_way_to_the_system_reason),
        cmocka_unit_test(failure_under_another_status_keeps_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
