/* SPDX-License-Identifier: MIT */

/* Many processes count together, and no count is lost.
 *
 *     counter DIR PROCESSES TIMES
 *
 * Shows kvstore_increment(), and what a program that forks has to do: each
 * process opens the store for itself. */

#include <kvstore.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "counter: %s: %s\n", what, kvstore_last_error()->message);
    return EXIT_FAILURE;
}

/* Adds so often to the counter, and says what it is then. */
static int count(const char *dir, long times, int64_t amount, int64_t *sum_out)
{
    kvstore *store = NULL;
    if (kvstore_open(dir, NULL, &store) != KVSTORE_OK) {
        return fail("cannot open the store");
    }
    kvstore_status status = KVSTORE_OK;
    for (long i = 0; i < times && status == KVSTORE_OK; i++) {
        status = kvstore_increment(
            store, "hits", 4, amount, KVSTORE_EXPIRES_NEVER, sum_out);
    }
    kvstore_close(store);
    if (status == KVSTORE_CONFLICT) {
        fputs("counter: hits is not a number, or too large\n", stderr);
        return EXIT_FAILURE;
    }
    return status == KVSTORE_OK ? EXIT_SUCCESS : fail("cannot count");
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: counter DIR PROCESSES TIMES\n", stderr);
        return 2;
    }
    long processes = strtol(argv[2], NULL, 10);
    long times = strtol(argv[3], NULL, 10);
    int64_t sum = 0;
    int result = EXIT_SUCCESS;

    for (long i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(count(argv[1], times, 1, &sum));
        }
        if (child < 0) {
            perror("counter: fork");
            result = EXIT_FAILURE;
            break;
        }
    }
    for (int ended = 0; wait(&ended) > 0;) {
        if (!WIFEXITED(ended) || WEXITSTATUS(ended) != EXIT_SUCCESS) {
            result = EXIT_FAILURE;
        }
    }
    if (result == EXIT_SUCCESS) {
        result = count(argv[1], 1, 0, &sum);
        printf("%" PRId64 "\n", sum);
    }
    return result;
}
