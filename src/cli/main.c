/* SPDX-License-Identifier: MIT */

/* The program: hands its arguments to the command line and returns what that
 * makes of them. */

#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
