/* SPDX-License-Identifier: MIT */

/* Sends what would go to standard output into a file: a temporary one beside it,
 * which is synced and then renamed, so that readers see the old file or all of
 * the new one, whatever happens. */

/* For realpath(). */
#define _XOPEN_SOURCE 700

#include "cli/target.h"

#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a signal that ends the program removes; NULL: nothing. */
static const char *volatile unfinished;

static void remove_unfinished(int signal_number)
{
    if (unfinished != NULL) {
        (void)unlink(unfinished);
    }
    /* The handler is gone, so this ends the program as if there had been none. */
    (void)raise(signal_number);
}

static void handle_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT};
    struct sigaction action = {.sa_handler = remove_unfinished,
                               .sa_flags = (int)SA_RESETHAND};
    struct sigaction old;

    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        /* What is ignored, as by nohup, stays so. */
        if (sigaction(signals[i], NULL, &old) == 0 &&
            old.sa_handler != SIG_IGN) {
            (void)sigaction(signals[i], &action, NULL);
        }
    }
}

/* Makes the file, and no signal can come before it is known to be unfinished. */
static int make_unfinished(char *temporary)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    int fd = mkstemp(temporary);
    int error = errno;
    if (fd >= 0) {
        unfinished = temporary;
        handle_signals();
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return fd;
}

static bool fail(const char *file)
{
    cli_tell("cannot write '%s': %s", file, strerror(errno));
    return false;
}

/* The descriptor becomes standard output; -1 is a failure. */
static bool divert(int fd, const char *file)
{
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        return fail(file);
    }
    (void)close(fd);
    cli_output_name(file);
    return true;
}

/* As open as the file that is replaced, or else as one that a shell makes. */
static void open_up(int fd, const char *file)
{
    struct stat status;
    mode_t mask = umask(0);

    (void)umask(mask);
    (void)fchmod(
        fd, stat(file, &status) == 0 ? status.st_mode & 0777 : 0666 & ~mask);
}

static bool begin_temporary(struct cli_target *target)
{
    static const char suffix[] = ".XXXXXX";
    size_t size = strlen(target->file);

    target->temporary = malloc(size + sizeof(suffix));
    if (target->temporary == NULL) {
        return fail(target->name);
    }
    memcpy(target->temporary, target->file, size);
    memcpy(target->temporary + size, suffix, sizeof(suffix));
    int fd = make_unfinished(target->temporary);
    if (fd < 0) {
        free(target->temporary);
        target->temporary = NULL;
        return fail(target->name);
    }
    open_up(fd, target->file);
    return divert(fd, target->name);
}

/* True if the file, which need not be there, has a name of a store's files. */
static bool is_of_store(const char *file, const char *data_dir)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash == NULL ? file : slash + 1;
    size_t size = (size_t)(name - file);
    char parent[PATH_MAX] = ".";
    struct stat status;
    struct stat own;

    if (strncmp(name, "store.", strlen("store.")) != 0 ||
        size >= sizeof(parent)) {
        return false;
    }
    if (size > 0) {
        memcpy(parent, file, size);
        parent[size] = '\0';
    }
    return stat(parent, &status) == 0 && stat(data_dir, &own) == 0 &&
           status.st_dev == own.st_dev && status.st_ino == own.st_ino;
}

bool cli_target_begin(struct cli_target *target,
                      const char *file,
                      const char *data_dir)
{
    struct stat status;

    *target = (struct cli_target){.name = file};
    if (stat(file, &status) == 0 && !S_ISREG(status.st_mode)) {
        return divert(open(file, O_WRONLY | O_CLOEXEC), file);
    }
    /* The file itself is replaced, not a symbolic link to it. */
    target->file = realpath(file, NULL);
    if (target->file == NULL) {
        target->file = strdup(file);
    }
    if (target->file != NULL && is_of_store(target->file, data_dir)) {
        cli_tell("cannot write '%s': it is a file of this store", file);
        return false;
    }
    return target->file == NULL ? fail(file) : begin_temporary(target);
}

bool cli_target_end(struct cli_target *target, bool is_wanted)
{
    bool is_done = true;

    if (target->temporary != NULL) {
        cli_flush();
        is_wanted = is_wanted && !cli_output_has_failed();
        if (is_wanted && (fsync(STDOUT_FILENO) != 0 ||
                          rename(target->temporary, target->file) != 0)) {
            is_done = fail(target->name);
            is_wanted = false;
        }
        if (!is_wanted) {
            (void)unlink(target->temporary);
        }
    }
    unfinished = NULL;
    free(target->file);
    free(target->temporary);
    *target = (struct cli_target){0};
    return is_done;
}
