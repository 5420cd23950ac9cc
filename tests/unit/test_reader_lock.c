/* SPDX-License-Identifier: MIT */

/* Does os/reader_lock.c do what its header promises? */

#include "os/file.h"
#include "os/reader_lock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define THREADS 8
#define ROUNDS 20000
#define MOMENT_NS 20000000

struct scene {
    struct kv_reader_lock lock;
    int guarded[2]; /* Equal, except while a writer changes them. */
    atomic_int readers_inside;
    atomic_bool is_written;
    atomic_bool is_read;
    atomic_int faults;
};

static int set_up(void **state)
{
    static struct scene scene;
    scene = (struct scene){.guarded = {0, 0}};
    kv_reader_lock_init(&scene.lock);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    kv_reader_lock_destroy(&scene->lock);
    return 0;
}

static void *write_once(void *argument)
{
    struct scene *scene = argument;
    kv_reader_lock_write(&scene->lock);
    atomic_store(&scene->is_written, true);
    kv_reader_lock_end_write(&scene->lock);
    return NULL;
}

static void *read_once(void *argument)
{
    struct scene *scene = argument;
    kv_reader_lock_read(&scene->lock);
    atomic_store(&scene->is_read, true);
    kv_reader_lock_end_read(&scene->lock);
    return NULL;
}

/* Waits for the others inside, so that all must be there at once. */
static void *read_together(void *argument)
{
    struct scene *scene = argument;
    kv_reader_lock_read(&scene->lock);
    atomic_fetch_add(&scene->readers_inside, 1);
    while (atomic_load(&scene->readers_inside) < THREADS) {
        kv_io_sleep_ns(100000);
    }
    kv_reader_lock_end_read(&scene->lock);
    return NULL;
}

static void write_guarded(struct scene *scene)
{
    kv_reader_lock_write(&scene->lock);
    scene->guarded[0]++;
    scene->guarded[1]++;
    kv_reader_lock_end_write(&scene->lock);
}

static void read_guarded(struct scene *scene)
{
    kv_reader_lock_read(&scene->lock);
    bool is_fault = scene->guarded[0] != scene->guarded[1];
    kv_reader_lock_end_read(&scene->lock);
    atomic_fetch_add(&scene->faults, is_fault ? 1 : 0);
}

static void *use(void *argument)
{
    struct scene *scene = argument;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 100 == 0) {
            write_guarded(scene);
        } else {
            read_guarded(scene);
        }
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), struct scene *scene)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run, scene), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void readers_are_inside_together(void **state)
{
    struct scene *scene = *state;
    run_threads(read_together, scene);
    assert_int_equal(atomic_load(&scene->readers_inside), THREADS);
}

static void writers_are_alone(void **state)
{
    struct scene *scene = *state;
    run_threads(use, scene);
    assert_int_equal(atomic_load(&scene->faults), 0);
    assert_int_equal(scene->guarded[0], THREADS * ROUNDS / 100);
}

static void writer_waits_for_a_reader(void **state)
{
    struct scene *scene = *state;
    pthread_t writer;
    kv_reader_lock_read(&scene->lock);
    assert_int_equal(pthread_create(&writer, NULL, write_once, scene), 0);
    kv_io_sleep_ns(MOMENT_NS);
    assert_false(atomic_load(&scene->is_written));

    kv_reader_lock_end_read(&scene->lock);

    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(atomic_load(&scene->is_written));
}

static void waiting_writer_comes_before_new_readers(void **state)
{
    struct scene *scene = *state;
    pthread_t writer;
    pthread_t reader;
    kv_reader_lock_read(&scene->lock);
    assert_int_equal(pthread_create(&writer, NULL, write_once, scene), 0);
    while (!atomic_load(&scene->lock.has_writer)) {
        kv_io_sleep_ns(100000);
    }

    assert_int_equal(pthread_create(&reader, NULL, read_once, scene), 0);
    kv_io_sleep_ns(MOMENT_NS);

    assert_false(atomic_load(&scene->is_read));
    kv_reader_lock_end_read(&scene->lock);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_true(atomic_load(&scene->is_read));
}

#define SCENE_TEST(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(readers_are_inside_together),
        SCENE_TEST(writers_are_alone),
        SCENE_TEST(writer_waits_for_a_reader),
        SCENE_TEST(waiting_writer_comes_before_new_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
