/* SPDX-License-Identifier: MIT */

/* Lines of foreign layout: what kv_command_decode() does with a line that is
 * neither blank nor canonical. Part of the module command. */

#ifndef KV_COMMAND_FOREIGN_H
#define KV_COMMAND_FOREIGN_H

#include "kvstore.h"
#include "record/command.h"

#include <stddef.h>

/* Decodes a line with cJSON into a command that comes as DAMAGED and empty. The
 * line is a private copy, which is changed on the way. Returns KVSTORE_OK
 * whatever it holds, the texts pointing into owned; or KVSTORE_NO_MEMORY, with
 * nothing owned and the command without meaning. Threads: any; they take
 * turns. */
kvstore_status kv_command_decode_foreign(char *line,
                                         size_t size,
                                         struct kv_command *command);

#endif
