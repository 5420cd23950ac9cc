/* SPDX-License-Identifier: MIT */

/* What the program prints of records, kept in memory. */

#ifndef INPUT_PRINT_H
#define INPUT_PRINT_H

#include "input_records.h"

#include <stdbool.h>
#include <stddef.h>

/* Prints the sets among the records, each as export does. The caller owns what is
 * returned. is_left_out_out has an item for each record: it was not printed. */
char *input_print_sets(const struct input_records *records,
                       enum cli_form form,
                       bool *is_left_out_out,
                       size_t *size_out);

#endif
