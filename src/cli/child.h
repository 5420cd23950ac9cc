/* SPDX-License-Identifier: MIT */

/* Runs another command. Knows no store and no options. */

#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* The command among the operands that follow KEY: "--" may be in front of
 * it. NULL: there is none. */
char **cli_child_words(char **operands);

/* Makes a pipe that a command which is started does not inherit. ends_out[0] is
 * for reading. False: errno says why. */
bool cli_child_pipe(int ends_out[2]);

/* Starts the command words[0], which is looked for in PATH, with these
 * descriptors as its standard input and output; -1: those of this program. It
 * blocks the signals in mask. Returns 0, or if it cannot be run, an errno. */
int cli_child_start(char **words,
                    const int streams[2],
                    const sigset_t *mask,
                    pid_t *child_out);

/* Waits for its end. Returns what waitpid() says of it, or -1. */
int cli_child_wait(pid_t child);

#endif
