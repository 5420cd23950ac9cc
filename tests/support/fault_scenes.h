/* SPDX-License-Identifier: MIT */

/* Stores for a trial to begin with, and what they hold. */

#ifndef FAULT_SCENES_H
#define FAULT_SCENES_H

#include "fault_trial.h"

/* Its bytes and a NUL: both its line and a read of it need an allocation. */
#define SCENE_LONG_VALUE 3000u
const char *scene_long_value(void);

/* When some values expire, far from now, and another such time. */
#define SCENE_EXPIRES INT64_C(4102444800000)
#define SCENE_EXPIRES_LATER INT64_C(5102444800000)

/* How many bytes of a torn log are records. */
#define SCENE_TORN_KEPT \
    (sizeof "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n" \
            "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n" - \
     1)

/* The same, of one that repair cuts: up to the first damage. */
#define SCENE_REPAIR_KEPT \
    (sizeof "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n" - 1)

/* As many keys as the smallest index holds without growing. */
#define SCENE_FULL_KEYS 192u

void scene_absent(struct trial *trial);
void scene_some_keys(struct trial *trial);
void scene_some_long_values(struct trial *trial);
void scene_torn_tail(struct trial *trial);
void scene_torn_lines(struct trial *trial);
void scene_unterminated(struct trial *trial);
void scene_damaged(struct trial *trial);
void scene_of_a_batch(struct trial *trial);
void scene_foreign(struct trial *trial);
void scene_full_index(struct trial *trial);
void scene_expiring(struct trial *trial);
void scene_prefixes(struct trial *trial);
void scene_newer(struct trial *trial);
void scene_half_a_batch(struct trial *trial);
void scene_empty(struct trial *trial);
void scene_deep(struct trial *trial);
void scene_leftover(struct trial *trial);
void scene_foreign_index(struct trial *trial);
void scene_empty_index(struct trial *trial);
void scene_indexed(struct trial *trial);
void scene_strange_index(struct trial *trial);
void scene_dead_writer(struct trial *trial);
void scene_dead_half_way(struct trial *trial);
void scene_dead_compactor(struct trial *trial);
void scene_access_list(struct trial *trial);

/* Returns another handle of the store, not to be used after scene_leave(). */
kvstore *scene_enter(struct trial *trial, const kvstore_options *options);
void scene_leave(kvstore *other);

#endif
