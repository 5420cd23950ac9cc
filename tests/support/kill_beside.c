/* SPDX-License-Identifier: MIT */

/* Writes alongside a compaction that will die. */

#include "kill_beside.h"

#include "kill_witness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FIRST_AND_LAST 5
#define BULK 70
#define STALE 25

/* If something were done at each pause, the rounds would make more pauses than
 * they catch up with. So after this many it is done at one in RARE. */
#define FREQUENT_PAUSES 60
#define RARE 8

/* --- The store --- */

/* Uses the unsynced writer, whose calls cost least. */
static void fill_key(struct kill_trial *trial, char letter, unsigned i)
{
    char key[KILL_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "%c%u", letter, i);
    kill_witness_write(trial, "who fills", trial->unsynced, key, "old");
}

static void fill_bulk(struct kill_trial *trial)
{
    for (; trial->bulk_count < BULK; trial->bulk_count++) {
        char key[KILL_TEXT_SIZE];
        int size = snprintf(key, sizeof key, "k%u", trial->bulk_count);
        if (kvstore_set(trial->unsynced, key, (size_t)size, "bulk", 4) !=
            KVSTORE_OK) {
            kill_trial_complain(trial, "cannot fill the store");
        }
    }
}

void kill_beside_fill(struct kill_trial *trial)
{
    for (unsigned i = 0; i < FIRST_AND_LAST; i++) {
        fill_key(trial, 'e', i);
    }
    for (unsigned i = 0; i < STALE; i++) {
        fill_key(trial, 's', i % 2);
    }
    fill_bulk(trial);
    for (unsigned i = 0; i < FIRST_AND_LAST; i++) {
        fill_key(trial, 'l', i);
    }
}

/* --- Acting --- */

static void write_in_turn(struct kill_trial *trial,
                          const char *key,
                          const char *value)
{
    bool is_durable = trial->beside_serial % 2 == 0;
    kill_witness_write(trial,
                       is_durable ? "the durable writer beside"
                                  : "the unsynced writer beside",
                       is_durable ? trial->durable : trial->unsynced,
                       key,
                       value);
}

/* Overwrites the next key of a letter, or removes it; sets it if it was removed
 * already. */
static void change(struct kill_trial *trial, char letter, bool is_removal)
{
    char key[KILL_TEXT_SIZE];
    char value[KILL_TEXT_SIZE] = "";
    (void)snprintf(
        key, sizeof key, "%c%u", letter, trial->beside_serial % FIRST_AND_LAST);
    bool is_there = true;
    for (size_t i = 0; i < trial->key_count; i++) {
        if (strcmp(trial->keys[i].key, key) == 0) {
            is_there = trial->keys[i].value[0] != '\0';
        }
    }
    if (!is_removal || !is_there) {
        (void)snprintf(value, sizeof value, "b%u", trial->beside_serial);
    }
    write_in_turn(trial, key, value);
}

static void set_new(struct kill_trial *trial, bool is_removed)
{
    char key[KILL_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "x%u", trial->beside_serial % 16);
    write_in_turn(trial, key, "new");
    if (is_removed) {
        write_in_turn(trial, key, "");
    }
}

static void lose_writer(struct kill_trial *trial, enum kill_moment moment)
{
    struct kill_plan plan = {
        .call = "pwrite", .n = 1, .moment = moment, .signal = SIGKILL};
    char key[KILL_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "y%u", trial->beside_serial);
    kill_trial_lose_writer(trial, &plan, key, "lost");
}

static void act(struct kill_trial *trial, char letter)
{
    const char order[] = {letter, '\0'};
    trial->beside_serial++;
    switch (letter) {
    case 'n':
    case 't':
        set_new(trial, letter == 't');
        break;
    case 'e':
    case 'l':
        change(trial, letter, false);
        break;
    case 'E':
        change(trial, 'e', true);
        break;
    case 'L':
        change(trial, 'l', true);
        break;
    case 'b':
        change(trial, 'e', true);
        change(trial, 'e', false);
        break;
    case 'h':
        lose_writer(trial, KILL_HALF_WRITTEN);
        break;
    case 'w':
        lose_writer(trial, KILL_AFTER);
        break;
    case 'i':
        kill_trial_delete_index(trial);
        break;
    default:
        kill_witness_go_on(trial, order);
        break;
    }
}

void kill_beside_act(struct kill_trial *trial)
{
    const char *script = trial->script;
    if (trial->board->has_lock) {
        kill_witness_go_on(trial, "rqp");
        return;
    }
    bool is_frequent =
        trial->pauses < FREQUENT_PAUSES || trial->pauses % RARE == 0;
    if (trial->pause == 0 && is_frequent) {
        act(trial, script[trial->beside_serial % strlen(script)]);
    }
    for (; trial->pause == trial->pauses && *script != '\0'; script++) {
        act(trial, *script);
    }
}
