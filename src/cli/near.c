/* SPDX-License-Identifier: MIT */

/* Finds the word of a list that a mistyped word was meant to be: the one with
 * the fewest letters to insert, drop, exchange or swap with their neighbour. */

#include "cli/near.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* No command and no long option has more letters. */
#define WORD_SIZE_MAX 24

static size_t least(size_t a, size_t b, size_t c)
{
    size_t smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

static bool is_same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* The cells of the two rows above and of the row so far say how far the
 * beginnings of both words are from each other. */
static size_t cell(size_t rows[3][WORD_SIZE_MAX + 1],
                   const char *a,
                   const char *b,
                   size_t at_a,
                   size_t at_b)
{
    size_t *row = rows[at_a % 3];
    size_t *above = rows[(at_a + 2) % 3];
    bool is_same = is_same_letter(a[at_a - 1], b[at_b - 1]);
    size_t distance = least(row[at_b - 1] + 1,
                            above[at_b] + 1,
                            above[at_b - 1] + (is_same ? 0 : 1));

    if (at_a > 1 && at_b > 1 && is_same_letter(a[at_a - 1], b[at_b - 2]) &&
        is_same_letter(a[at_a - 2], b[at_b - 1])) {
        size_t swapped = rows[(at_a + 1) % 3][at_b - 2] + 1;
        distance = swapped < distance ? swapped : distance;
    }
    return distance;
}

/* Both words have WORD_SIZE_MAX bytes at most. */
static size_t distance_of(const char *a,
                          size_t a_size,
                          const char *b,
                          size_t b_size)
{
    size_t rows[3][WORD_SIZE_MAX + 1];

    for (size_t at_b = 0; at_b <= b_size; at_b++) {
        rows[0][at_b] = at_b;
    }
    for (size_t at_a = 1; at_a <= a_size; at_a++) {
        rows[at_a % 3][0] = at_a;
        for (size_t at_b = 1; at_b <= b_size; at_b++) {
            rows[at_a % 3][at_b] = cell(rows, a, b, at_a, at_b);
        }
    }
    return rows[a_size % 3][b_size];
}

void cli_near_begin(struct cli_near *near, const char *word, size_t size)
{
    /* Of a short word nearly everything is near. */
    size_t near_enough = size < 2 ? 0 : size < 5 ? 1 : 2;

    *near = (struct cli_near){
        .word = word, .size = size, .distance = near_enough + 1};
}

void cli_near_try(struct cli_near *near, const char *candidate)
{
    size_t size = strlen(candidate);

    if (near->size > WORD_SIZE_MAX || size > WORD_SIZE_MAX) {
        return;
    }
    size_t distance = distance_of(near->word, near->size, candidate, size);
    if (distance < near->distance) {
        near->best = candidate;
        near->distance = distance;
    }
}
