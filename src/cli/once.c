/* SPDX-License-Identifier: MIT */

/* kvstore once: runs a command unless a key is there, and holds the key while it
 * runs. If this program is killed, the lease ends by itself. */

#include "cli/child.h"
#include "cli/commands.h"
#include "cli/lease.h"
#include "cli/output.h"
#include "cli/store.h"
#include "cli/usage.h"
#include <kvstore.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* As env, nohup and timeout have them. */
enum {
    ONCE_FAILED = 125,
    ONCE_CANNOT_RUN = 126,
    ONCE_NOT_THERE = 127,
    ONCE_SIGNAL = 128 /* Plus its number. */
};

/* What is passed on to the command, and the news of its end. */
static void fill_signals(sigset_t *signals)
{
    static const int passed_on[] = {
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGCHLD);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        (void)sigaddset(signals, passed_on[i]);
    }
}

static int64_t clock_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for a signal until this moment. Returns its number, or -1. */
static int wait_for_signal(const sigset_t *signals,
                           int64_t until_ms,
                           siginfo_t *info_out)
{
    int64_t left_ms = until_ms - clock_ms();

    left_ms = left_ms > 0 ? left_ms : 0;
    const struct timespec left = {.tv_sec = (time_t)(left_ms / 1000),
                                  .tv_nsec = (long)(left_ms % 1000) * 1000000};
    return sigtimedwait(signals, info_out, &left);
}

/* What comes from the terminal goes to all that run there, so to the command,
 * too: only what a process has sent is passed on. */
static void pass_on(pid_t child, int signal_number, const siginfo_t *info)
{
    if (info->si_code <= 0) {
        (void)kill(child, signal_number);
    }
}

/* Renews the lease until the command ends. Returns what waitpid() says of it. */
static int attend(struct cli_lease *lease, pid_t child, const sigset_t *signals)
{
    int64_t renew_at_ms = clock_ms() + CLI_LEASE_RENEW_MS;
    int status = 0;
    siginfo_t info;

    while (true) {
        int number = wait_for_signal(signals, renew_at_ms, &info);
        if (number > 0 && number != SIGCHLD) {
            pass_on(child, number, &info);
        }
        pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) {
            return status;
        }
        if (ended < 0 && errno != EINTR) {
            return -1;
        }
        if (!lease->is_lost && clock_ms() >= renew_at_ms) {
            bool is_renewed = cli_lease_renew(lease);
            renew_at_ms =
                clock_ms() +
                (is_renewed ? CLI_LEASE_RENEW_MS : CLI_LEASE_RENEW_MS / 10 + 1);
        } else if (lease->is_lost) {
            renew_at_ms = INT32_MAX + clock_ms();
        }
    }
}

/* Runs the command. Returns its status, as a shell has it. */
static int run(struct cli_lease *lease, char **words)
{
    static const int streams[2] = {-1, -1};
    sigset_t signals;
    sigset_t before;
    pid_t child = -1;

    fill_signals(&signals);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    int error = cli_child_start(words, streams, &before, &child);
    if (error != 0) {
        cli_tell("cannot run '%s': %s", words[0], strerror(error));
        return error == ENOENT ? ONCE_NOT_THERE : ONCE_CANNOT_RUN;
    }
    int status = attend(lease, child, &signals);
    if (status == -1) {
        cli_tell("cannot learn how '%s' ended", words[0]);
        return ONCE_FAILED;
    }
    return WIFSIGNALED(status) ? ONCE_SIGNAL + WTERMSIG(status)
                               : WEXITSTATUS(status);
}

static int run_and_note(const struct cli_options *options,
                        kvstore *store,
                        const char *key,
                        char **words)
{
    struct cli_lease lease;

    int result = cli_lease_take(&lease, options, store, key);
    if (result == CLI_CONFLICT) {
        return cli_has(options, CLI_OPTION_CONFLICT_STATUS)
                   ? options->conflict_status
                   : CLI_CONFLICT;
    }
    if (result != CLI_DONE) {
        return ONCE_FAILED;
    }
    int status = run(&lease, words);
    bool stays = status == 0 && !cli_has(options, CLI_OPTION_RELEASE);
    result = stays ? cli_lease_keep(&lease, options->expires_ms)
                   : cli_lease_release(&lease);
    if (result == CLI_DONE) {
        cli_store_compact_if_due(options, store);
    }
    return result != CLI_DONE && status == 0 ? ONCE_FAILED : status;
}

int cli_command_once(const struct cli_options *options,
                     int count,
                     char **operands)
{
    char **words = cli_child_words(operands + 1);
    kvstore *store = NULL;

    int result = cli_store_check_key(operands[0]);
    if (result != CLI_DONE) {
        return result;
    }
    if (words == NULL) {
        return cli_usage_operands(
            cli_command_find("once"), options, count - 1, operands);
    }
    if (!cli_usage_check_child(cli_command_find("once"), operands[1])) {
        return CLI_USAGE;
    }
    if (options->expires_ms == KVSTORE_EXPIRES_KEEP) {
        cli_tell("once: '--expires keep' has nothing to keep");
        return cli_usage_read_on(cli_command_find("once"));
    }
    result = cli_store_open(options, CLI_CREATE, &store);
    if (result != CLI_DONE) {
        return ONCE_FAILED;
    }
    int status = run_and_note(options, store, operands[0], words);
    cli_store_close(store);
    return status;
}
