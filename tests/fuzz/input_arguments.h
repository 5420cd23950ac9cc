/* SPDX-License-Identifier: MIT */

/* An input as the arguments of a command. */

#ifndef INPUT_ARGUMENTS_H
#define INPUT_ARGUMENTS_H

#include <stddef.h>

/* Parses the options among the arguments, each of which ends in a NUL or with
 * the input. The first byte says whose options are accepted. Checks that what
 * was understood stays within its bounds. */
void input_arguments_check(const char *bytes, size_t size);

#endif
