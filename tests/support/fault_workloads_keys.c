/* SPDX-License-Identifier: MIT */

/* Keys that take more than a look at their first bytes: with escapes, in lines
 * of other programs, and so alike that they are read from the log again to be
 * put in order. */

#include "fault_scenes.h"
#include "fault_workloads.h"
#include "trial_changes.h"
#include "trial_oracle.h"
#include "trial_reads.h"

#include <stdio.h>
#include <string.h>

/* --- Keys with escapes --- */

#define QUOTED "say \"a\""

static void scene_quoted_keys(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"say \\\"a\\\"\",\"val\":\"0\"}}\n"
              "{\"Set\":{\"key\":\"say \\\"a\\\"\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"tab\\t\",\"val\":\"2\"}}\n"
              "{\"Set\":{\"key\":\"say \\\"gone\\\"\",\"val\":\"1\"}}\n"
              "{\"Remove\":{\"key\":\"say \\\"gone\\\"\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    trial_expect(trial, QUOTED, "1");
    trial_expect(trial, "tab\t", "2");
    trial_expect(trial, "say \"gone\"", NULL);
    trial_expect(trial, "b", "2");
}

static void open_and_verify(struct trial *trial)
{
    trial_arm(trial);
    (void)trial_open(trial, NULL);
    trial_verify(trial, false);
    trial_get(trial, QUOTED);
    trial_set(trial, QUOTED, "new");
}

static void verify_privately(struct trial *trial)
{
    const kvstore_options options = {.read_only = true};
    trial_arm(trial);
    (void)trial_open(trial, &options);
    trial_verify(trial, false);
    trial_list(trial, "say ");
    trial_close(trial);
}

static void compact(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_compact(trial);
    trial_remove(trial, QUOTED);
    trial_compact(trial);
}

static void watch(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_begin_watch(trial, true);
    trial_watch(trial);
    trial_set(trial, QUOTED, "new");
    trial_watch(trial);
    trial_watch_prefix(trial, "say ");
}

static void back_up(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_backup(trial);
    trial_iterate(trial, NULL);
}

/* --- Damaged lines that name such keys --- */

static void scene_quoted_damage(struct trial *trial)
{
    trial_log(trial,
              "{\"Set\":{\"key\":\"a\",\"val\":\"1\"}}\n"
              "{\"Set\":{\"key\":\"bad \\\"a\\\"\",\"val\":\"1\",\"sum\":"
              "\"00000000\"}}\n"
              "{\"Set\":{\"key\":\"b\",\"val\":\"2\"}}\n");
    trial_expect(trial, "a", "1");
    trial_expect(trial, "b", "2");
}

static void verify_and_compact_damage(struct trial *trial)
{
    trial_arm(trial);
    (void)trial_open(trial, NULL);
    trial_verify(trial, true);
    trial_list(trial, NULL);
    trial_compact(trial);
}

/* --- Keys that are alike --- */

/* Each level of looking closer tells one key from the rest: the last three are
 * left for a merge. */
#define ALIKE_LEVEL 17u
#define ALIKE_KEYS 16u
#define ALIKE_LEFT 3u
#define ALIKE_SIZE ((size_t)256)

static const char *alike_key(unsigned number)
{
    static char keys[ALIKE_KEYS][ALIKE_SIZE];
    unsigned level =
        number < ALIKE_KEYS - ALIKE_LEFT ? number : ALIKE_KEYS - ALIKE_LEFT;
    char *key = keys[number];
    memset(key, 'b', ALIKE_SIZE);
    key[(size_t)level * ALIKE_LEVEL] = (char)('a' + (number - level));
    key[(size_t)level * ALIKE_LEVEL + 1] = '\0';
    return key;
}

/* The last ones are lines of another program, which must be decoded. */
static void write_alike_keys(struct trial *trial, unsigned foreign)
{
    static char text[ALIKE_KEYS * (ALIKE_SIZE + 48)];
    size_t size = 0;
    for (unsigned i = 0; i < ALIKE_KEYS; i++) {
        unsigned number = ALIKE_KEYS - 1 - i;
        const char *space = number >= ALIKE_KEYS - foreign ? " " : "";
        size += (size_t)snprintf(text + size,
                                 sizeof text - size,
                                 "{%s\"Set\":{\"key\":\"%s\",\"val\":\"1\"}}\n",
                                 space,
                                 alike_key(number));
    }
    trial_log(trial, text);
    for (unsigned i = 0; i < ALIKE_KEYS; i++) {
        trial_expect(trial, alike_key(i), "1");
    }
}

static void scene_alike_keys(struct trial *trial)
{
    write_alike_keys(trial, 0);
}

static void scene_alike_foreign_keys(struct trial *trial)
{
    write_alike_keys(trial, ALIKE_LEFT);
}

static void list_and_iterate(struct trial *trial)
{
    (void)trial_open(trial, NULL);
    trial_arm(trial);
    trial_list(trial, "b");
    trial_iterate(trial, NULL);
}

const struct trial_workload fault_workloads_keys[] = {
    {"quoted keys", scene_quoted_keys, open_and_verify, SIZE_MAX, 0},
    {"quoted keys, read-only",
     scene_quoted_keys,
     verify_privately,
     SIZE_MAX,
     0},
    {"quoted keys, compact", scene_quoted_keys, compact, 0, 0},
    {"quoted keys, watch", scene_quoted_keys, watch, SIZE_MAX, 0},
    {"quoted keys, back up", scene_quoted_keys, back_up, SIZE_MAX, 0},
    {"quoted keys, damage",
     scene_quoted_damage,
     verify_and_compact_damage,
     0,
     0},
    {"alike keys", scene_alike_keys, list_and_iterate, SIZE_MAX, 0},
    {"alike keys of another program",
     scene_alike_foreign_keys,
     list_and_iterate,
     SIZE_MAX,
     0},
};
const size_t fault_workload_keys_count =
    sizeof fault_workloads_keys / sizeof *fault_workloads_keys;
