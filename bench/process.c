/* SPDX-License-Identifier: MIT */

/* Commands that the benchmark runs and times: the stores' own tools, each in
 * turn with /bin/true, which shows what starting and ending any process
 * costs. */

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIR_COUNT_MAX 1000
#define TRIAL_COUNT_MIN 9

extern char **environ;

bool bench_command_find(struct bench_command *command)
{
    const char *name = command->arguments[0];
    if (strchr(name, '/') != NULL) {
        return access(name, X_OK) == 0 ||
               bench_fail("there is no program %s", name);
    }
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        char *found = command->text[2];
        (void)snprintf(
            found, sizeof command->text[2], "%.*s/%s", (int)length, path, name);
        if (length > 0 && access(found, X_OK) == 0) {
            command->arguments[0] = found;
            return true;
        }
        path += length + (path[length] == ':');
    }
    return bench_fail("its tool %s is not installed", name);
}

/* Starts a command with its output on a descriptor. */
static bool start(const struct bench_command *command,
                  int output_fd,
                  pid_t *id_out)
{
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
    int error = posix_spawn(id_out,
                            command->arguments[0],
                            &actions,
                            NULL,
                            (char *const *)command->arguments,
                            environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    errno = error;
    return error == 0 || bench_fail("%s does not start: %s",
                                    command->arguments[0],
                                    strerror(error));
}

static bool ended_well(const struct bench_command *command, pid_t id)
{
    int status = 0;
    while (waitpid(id, &status, 0) == -1) {
        if (errno != EINTR) {
            return bench_fail("%s was lost", command->arguments[0]);
        }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    return bench_fail("%s failed, status %d", command->arguments[0], status);
}

static int null_fd(void)
{
    static int fd = -1;
    if (fd == -1) {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    return fd;
}

bool bench_command_run(const struct bench_command *command, double *seconds_out)
{
    pid_t id;
    int fd = null_fd();
    double begin = bench_now();
    if (!start(command, fd, &id) || !ended_well(command, id)) {
        return false;
    }
    *seconds_out = bench_now() - begin;
    return true;
}

bool bench_command_read(const struct bench_command *command,
                        char *text_out,
                        size_t size)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return bench_fail("pipe: %s", strerror(errno));
    }
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t id;
    bool has_started = start(command, ends[1], &id);
    (void)close(ends[1]);
    size_t used = 0;
    ssize_t got = 1;
    char rest[512];
    while (has_started && got > 0) {
        bool is_full = used + 1 >= size;
        got = read(ends[0],
                   is_full ? rest : text_out + used,
                   is_full ? sizeof rest : size - 1 - used);
        used += got > 0 && !is_full ? (size_t)got : 0;
    }
    text_out[used] = '\0';
    (void)close(ends[0]);
    return has_started && ended_well(command, id);
}

/* --- The stores' own tools --- */

struct texts {
    char key[BENCH_KEY_SIZE + 1];
    char value[BENCH_VALUE_SIZE + 1];
};

static void make_command(struct bench_run *run,
                         bool is_set,
                         struct texts *texts,
                         struct bench_command *command_out)
{
    bench_key(bench_random_below(&run->seed, run->settings.keys), texts->key);
    texts->key[BENCH_KEY_SIZE] = '\0';
    bench_value(texts->key, run->seed, texts->value);
    texts->value[BENCH_VALUE_SIZE] = '\0';
    const struct bench_task task = {.dir = run->settings.dir,
                                    .key = texts->key,
                                    .value = is_set ? texts->value : NULL,
                                    .keys = run->settings.keys};
    memset(command_out, 0, sizeof *command_out);
    run->store->tool(&task, command_out);
}

/* True if the tool prints the value that a get asks for. Some print it as a
 * dump, so only its first eight bytes are compared. */
static bool tool_tells_the_truth(struct bench_run *run)
{
    struct texts texts;
    struct bench_command command;
    char text[2048];
    make_command(run, false, &texts, &command);
    if (!bench_command_find(&command) ||
        !bench_command_read(&command, text, sizeof text)) {
        return false;
    }
    texts.key[8] = '\0';
    return strstr(text, texts.key) != NULL ||
           bench_fail("%s prints another value", command.arguments[0]);
}

bool bench_time_tool(struct bench_run *run,
                     bool is_set,
                     double *tool_out,
                     double *true_out)
{
    static double tool_times[PAIR_COUNT_MAX];
    static double true_times[PAIR_COUNT_MAX];
    struct bench_command nothing = {.arguments = {"true"}};
    if (!bench_command_find(&nothing) ||
        (!run->store->is_floor && !tool_tells_the_truth(run))) {
        return false;
    }
    unsigned count = run->pairs < PAIR_COUNT_MAX ? run->pairs : PAIR_COUNT_MAX;
    double begin = bench_now();
    unsigned done = 0;
    /* A tool that takes half a second each time does not need 200 trials. */
    while (done < count &&
           (done < TRIAL_COUNT_MIN || bench_now() - begin < 4 * run->seconds)) {
        struct texts texts;
        struct bench_command command;
        make_command(run, is_set, &texts, &command);
        if (!bench_command_find(&command) ||
            !bench_command_run(&command, &tool_times[done]) ||
            !bench_command_run(&nothing, &true_times[done])) {
            return false;
        }
        done++;
    }
    *tool_out = bench_median(tool_times, done) * 1e6;
    *true_out = bench_median(true_times, done) * 1e6;
    return true;
}

uint64_t bench_written_bytes(void)
{
    char line[128];
    uint64_t bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "wchar:", 6) == 0) {
            bytes = strtoull(line + 6, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return bytes;
}
