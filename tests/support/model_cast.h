/* SPDX-License-Identifier: MIT */

/* The roles that work on the store in the model test, each a process of its own
 * with some threads, and what each of them does. All that they decide follows
 * from a seed. */

#ifndef MODEL_CAST_H
#define MODEL_CAST_H

#include "history.h"
#include "register_client.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum model_role {
    MODEL_DURABLE,   /* Threads share a handle. */
    MODEL_UNSYNCED,  /* Each thread has its own, and opens it anew. */
    MODEL_EXCLUSIVE, /* Some calls by an exclusive handle, again and again. */
    MODEL_READER,    /* Short-lived read-only handles. */
    MODEL_STRANGER,  /* The same by another user, if this one is root. */
    MODEL_WITNESS,   /* Reads by one handle, open all along. */
    MODEL_COMMANDS,  /* Runs the command. */
    MODEL_KEEPER,    /* Compacts, verifies, and lets the index grow. */
    MODEL_ROLES
};

#define MODEL_THREADS 3
#define MODEL_CLIENTS (MODEL_ROLES * MODEL_THREADS)

/* Shared by all processes. */
struct model_board {
    _Atomic uint64_t failures;
    _Atomic uint64_t compactions;
    _Atomic uint64_t full; /* Calls that found no room. */
    _Atomic uint64_t busy; /* Opens that found the lock taken. */
    _Atomic uint64_t fillers;
    _Atomic uint64_t until; /* Calls in the history; then all end. */
};

struct model_plan {
    const char *path;    /* The store. */
    const char *program; /* The command; NULL: it is not run. */
    struct history *history;
    struct model_board *board;
    uint64_t seed;
    uint32_t keys;
    enum register_twin twin;
    bool may_be_full;
};

/* Starts a role in a process group of its own. */
pid_t model_cast_start(const struct model_plan *plan,
                       enum model_role role,
                       uint64_t seed);

/* Waits for all of its group, and buries its clients. False: it has neither
 * ended well nor been killed. */
bool model_cast_await(const struct model_plan *plan,
                      enum model_role role,
                      pid_t pid);

#endif
