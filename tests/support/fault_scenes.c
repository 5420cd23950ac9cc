/* SPDX-License-Identifier: MIT */

/* Stores to begin with. */

#include "fault_scenes.h"

#include "os/system.h"
#include "trial_oracle.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char *scene_long_value(void)
{
    static char value[SCENE_LONG_VALUE];
    memset(value, 'v', sizeof value - 1);
    return value;
}

void scene_absent(struct trial *trial)
{
    trial_expect(trial, "a", NULL);
}

void scene_some_keys(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"gone\",\"val\":\"1\"}}\n"
              "{\"Remove\":{\"key\":\"gone\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
    trial_expect(trial, "gone", NULL);
}

void scene_some_long_values(struct trial *trial)
{
    char text[2 * SCENE_LONG_VALUE];
    (void)snprintf(text,
                   sizeof text,
                   "{\"Set\":{\"key\":\"a\",\"val\":\"%s\"}}\n"
                   "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n",
                   scene_long_value());
    trial_log(trial, text);
    trial_expect(trial, "a", scene_long_value());
    trial_expect(trial, "b", "2");
}

void scene_torn_tail(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
              "{\"Set\":{\"key\":\"a\",\"val\":\"neve");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

void scene_torn_lines(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
              "\"key\":\"a\",\"val\":\"never\"\n"
              "\"key\":\"b\",\"val\":\"never\"\n"
              "{\"Set\":{\"key\"");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

void scene_unterminated(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

void scene_damaged(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"d\",\"val\":\"x\",\"sum\":\"00000000\"}}\n"
              "\n"
              "what is this\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

void scene_of_a_batch(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"0\"}}\n"
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\",\"batch\":2}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\",\"batch\":1}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

void scene_foreign(struct trial *trial)
{
    trial_log(trial,
              "{ \"Set\" : {\"val\":\"1\", \"key\":\"a\", \"by\":[1,{}]} }\n"
              "{\"Set\": {\"key\":\"\\u0062\",\"val\":\"1\"}}\n"
              "{\"Set\": {\"key\":\"gone\",\"value\":\"1\"}}\n"
              "{ \"Remove\":{\"key\":\"gone\"}}\n"
              "{\"Set\": {\"key\":\"b\",\"val\":\"2\", \"n\":\"\\n\"}}");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
    trial_expect(trial, "gone", NULL);
}

void scene_full_index(struct trial *trial)
{
    static char text[SCENE_FULL_KEYS * 48];
    size_t size = 0;
    for (unsigned i = 0; i < SCENE_FULL_KEYS; i++) {
        size += (size_t)snprintf(text + size,
                                 sizeof text - size,
                                 "{\"Set\":{\"key\":\"k%u\",\"val\":\"%u\"}}\n",
                                 i,
                                 i);
    }
    trial_log(trial, text);
    trial_expect(trial, "k0", "0");
    trial_expect(trial, "k191", "191");
}

void scene_expiring(struct trial *trial)
{
    trial_log(
        trial,
        "{\"Set\":{\"key\":\"a\",\"val\":\"1\",\"expires\":4102444800000}}\n"
        "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
        "{\"Set\":{\"key\":\"old\",\"val\":\"1\",\"expires\":1000000000000}}\n"
        "{\"Set\":{\"key\":\"old2\",\"val\":\"0\"}}\n"
        "{\"Set\":{\"key\":\"old2\",\"val\":\"1\",\"expires\":1000000000000}}"
        "\n");
    trial_expect_until(trial, "a", "1", SCENE_EXPIRES);
    trial_expect(trial, "b", "2");
    trial_expect(trial, "old", NULL);
    trial_expect(trial, "old2", NULL);
}

void scene_prefixes(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"p/2\",\"val\":\"2\"}}\n"
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"p/1\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"q\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"p/3\",\"val\":\"3\"}}\n"
              "{\"Remove\":{\"key\":\"p/3\"}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "p/1", "1");
    trial_expect(trial, "p/2", "2");
    trial_expect(trial, "p/3", NULL);
    trial_expect(trial, "q", "1");
}

void scene_newer(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Rename\":{\"key\":\"k\",\"to\":\"l\",\"sum\":\"3337601f\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

void scene_half_a_batch(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n"
              "{\"Set\":{\"key\":\"a\",\"val\":\"never\",\"batch\":3}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"never\",\"batch\":2}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

void scene_empty(struct trial *trial)
{
    trial_log(trial, "");
    trial_expect(trial, "a", NULL);
}

void scene_deep(struct trial *trial)
{
    size_t size = strlen(trial->path);
    (void)snprintf(
        trial->path + size, sizeof trial->path - size, "/in/a/store");
    trial_expect(trial, "a", NULL);
}

/* --- Leftovers --- */

void scene_leftover(struct trial *trial)
{
    scene_some_keys(trial);
    static const char half[] = "{\"Set\":{\"key\":\"a\",\"val\":\"nev";
    scratch_write(trial->path, "store.log.compact", half, sizeof half - 1);
    scratch_write(trial->path, "store.index.123.tmp", half, sizeof half - 1);
}

void scene_foreign_index(struct trial *trial)
{
    static char bytes[65536];
    scene_some_keys(trial);
    memset(bytes, 'x', sizeof bytes);
    scratch_write(trial->path, "store.index", bytes, sizeof bytes);
}

void scene_empty_index(struct trial *trial)
{
    scene_some_keys(trial);
    scratch_write(trial->path, "store.index", "", 0);
}

kvstore *scene_enter(struct trial *trial, const kvstore_options *options)
{
    kvstore *other = NULL;
    if (kvstore_open(trial->path, options, &other) != KVSTORE_OK) {
        scratch_die(kvstore_last_error()->message);
    }
    return other;
}

void scene_leave(kvstore *other)
{
    kvstore_close(other);
}

void scene_indexed(struct trial *trial)
{
    scene_some_keys(trial);
    scene_leave(scene_enter(trial, NULL));
}

/* Of another log. */
void scene_strange_index(struct trial *trial)
{
    trial_log(trial, "{\"Set\":{\"key\":\"b\",\"val\":\"never\"}}\n");
    scene_leave(scene_enter(trial, NULL));
    size_t size = 0;
    char *index = scratch_read(trial->path, "store.index", &size);
    scene_some_keys(trial);
    scratch_write(trial->path, "store.index", index, size);
    free(index);
}

/* --- Writers that died --- */

static ssize_t write_and_die(int fd, const void *bytes, size_t size, off_t at)
{
    ssize_t written = kv_io_system_table()->pwrite(fd, bytes, size, at);
    (void)raise(SIGKILL);
    return written;
}

static ssize_t write_half_and_die(int fd,
                                  const void *bytes,
                                  size_t size,
                                  off_t at)
{
    return write_and_die(fd, bytes, size / 2, at);
}

static int rename_and_die(int dir_fd, const char *from, const char *to)
{
    int result = kv_io_system_table()->renameat(dir_fd, from, to);
    (void)raise(SIGKILL);
    return result;
}

static void run_and_die(struct trial *trial,
                        const struct kv_io_table *table,
                        bool is_compaction)
{
    pid_t child = fork();
    if (child == 0) {
        kvstore *store = scene_enter(trial, NULL);
        kv_io_swap_table(table);
        kvstore_status status = is_compaction
                                    ? kvstore_compact(store)
                                    : kvstore_set(store, "c", 1, "died", 4);
        _exit(status == KVSTORE_OK ? 0 : 1);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child ||
        !WIFSIGNALED(status)) {
        scratch_die("a writer did not die");
    }
}

/* Its line is whole, so it counts. */
void scene_dead_writer(struct trial *trial)
{
    struct kv_io_table table = *kv_io_system_table();
    table.pwrite = write_and_die;
    scene_indexed(trial);
    run_and_die(trial, &table, false);
    trial_expect_late(trial, "c", "died");
}

void scene_dead_half_way(struct trial *trial)
{
    struct kv_io_table table = *kv_io_system_table();
    table.pwrite = write_half_and_die;
    scene_indexed(trial);
    run_and_die(trial, &table, false);
    trial_expect(trial, "c", NULL);
}

void scene_dead_compactor(struct trial *trial)
{
    struct kv_io_table table = *kv_io_system_table();
    table.renameat = rename_and_die;
    scene_indexed(trial);
    run_and_die(trial, &table, true);
}

/* --- Access lists --- */

/* Gives the log an access list, if the file system has such: acl(5). */
void scene_access_list(struct trial *trial)
{
    static const unsigned char list[] = {
        2,  0, 0, 0,                     /* The version */
        1,  0, 6, 0, 255, 255, 255, 255, /* The owner */
        2,  0, 4, 0, 1,   0,   0,   0,   /* User 1 may read, */
        4,  0, 4, 0, 255, 255, 255, 255, /* and the group, */
        16, 0, 4, 0, 255, 255, 255, 255, /* at most, */
        32, 0, 0, 0, 255, 255, 255, 255, /* and no others. */
    };
    scene_some_keys(trial);
    int fd = openat(AT_FDCWD, trial->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int log = openat(fd, "store.log", O_RDWR | O_CLOEXEC);
    (void)kv_io_system_table()->set_access_list(log, list, sizeof list);
    (void)close(log);
    (void)close(fd);
}
