/* SPDX-License-Identifier: MIT */

/* Sorts notes. */

#ifndef KV_STORE_NOTE_SORT_H
#define KV_STORE_NOTE_SORT_H

#include "store/note.h"

#include <stddef.h>

/* Sorts in place, as notes compare. */
void kv_note_sort(struct kv_note *notes, size_t count);

#endif
