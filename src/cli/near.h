/* SPDX-License-Identifier: MIT */

/* Finds the word of a list that a mistyped word was meant to be. Knows neither
 * commands nor options. */

#ifndef CLI_NEAR_H
#define CLI_NEAR_H

#include <stddef.h>

/* The search for one word. */
struct cli_near {
    const char *word; /* Borrowed. */
    size_t size;
    const char *best; /* The nearest so far that is near enough, or NULL. */
    size_t distance;  /* Of the best; else one more than is near enough. */
};

/* Begins to look for a word that is nearly these bytes. */
void cli_near_begin(struct cli_near *near, const char *word, size_t size);

/* Tries one more candidate, which must stay valid. Of several that are as near,
 * the first one wins. Capital letters count as small ones. */
void cli_near_try(struct cli_near *near, const char *candidate);

#endif
