/* SPDX-License-Identifier: MIT */

/* Holds what was read of an input to the verdicts of second readers, and of
 * cJSON. */

#ifndef INPUT_VERDICTS_H
#define INPUT_VERDICTS_H

#include "input_records.h"

#include <stddef.h>

void input_verdicts_check(const struct input_format *format,
                          const struct input_records *records,
                          const char *bytes,
                          size_t size);

#endif
