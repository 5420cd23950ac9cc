/* SPDX-License-Identifier: MIT */

/* The command line: from the arguments of the program to its exit status. */

#ifndef CLI_H
#define CLI_H

/* Runs the command that argv names, and returns the exit status of the
 * program. Standard input, output and error belong to it; stdout is closed
 * afterwards. argv[argc] is NULL; argc may be 0. Not reentrant: getopt is
 * not. */
int cli_run(int argc, char **argv);

#endif
