/* SPDX-License-Identifier: MIT */

/* The program: passes its arguments to the command line and returns the exit
 * status. */

#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
