/* SPDX-License-Identifier: MIT */

/* Lines of foreign layout: what kv_command_decode() does with a line that is
 * neither blank nor canonical. Part of the module command. */

#ifndef KV_COMMAND_FOREIGN_H
#define KV_COMMAND_FOREIGN_H

#include "command.h"
#include "kvstore.h"

#include <stdbool.h>
#include <stddef.h>

/* Decodes a line with cJSON into a command that comes as DAMAGED and empty.
 * has_fitting_sum: the line ends in a sum member and two closing braces, and
 * the sum fits. Returns KVSTORE_OK whatever the line holds, the texts pointing
 * into owned; or KVSTORE_NO_MEMORY, with nothing owned and the command without
 * meaning. Threads: any; they take turns. */
kvstore_status kv_command_decode_foreign(const char *line,
                                         size_t size,
                                         bool has_fitting_sum,
                                         struct kv_command *command);

#endif
