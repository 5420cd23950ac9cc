/* SPDX-License-Identifier: MIT */

/* The commands import and batch on an input, held to a plain model of what its
 * records leave in a store. */

#ifndef INPUT_IMPORT_H
#define INPUT_IMPORT_H

#include "input_records.h"

#include <stddef.h>

/* The records are those of the input. Uses the store of store_scene.h. */
void input_import_check(const struct input_format *format,
                        const struct input_records *records,
                        const char *bytes,
                        size_t size);

#endif
