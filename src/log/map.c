/* SPDX-License-Identifier: MIT */

/* The bytes of a log in memory.
 *
 * Invariants:
 * 1. A piece once mapped stays where it is until the map is freed, so readers
 *    need no lock. It reaches beyond the end of the file: what is appended
 *    later shows up in it.
 * 2. The first piece has 64 MiB, and each further one as much as all before it
 *    together: so 19 of them hold 16 TiB, and at most half of what is mapped
 *    lies beyond the end.
 * 3. Who reads but a few lines, as the command does, maps nothing: touching a
 *    page for the first time costs more than a read of it. */

#include "log/map.h"

#include "kvstore.h"
#include "os/bounds.h"
#include "os/error.h"
#include "os/map.h"
#include "os/system.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define FIRST_PIECE_BITS 26
#define PIECE_COUNT 19
#define READS_BEFORE_MAPPING 64u

/* Where less of the file is left than nearly all lines have, it may have grown. */
#define MOST_LINES_SIZE 512u

static_assert(KV_OFFSET_MAX < UINT64_C(1)
                                  << (FIRST_PIECE_BITS + PIECE_COUNT - 1),
              "the pieces hold a log of any size");

struct kv_log_map {
    atomic_uint reads;
    atomic_bool is_refused; /* The system has no room for a piece. */
    _Atomic uint64_t size;  /* Of the file, as it was last asked for. */
    _Atomic(char *) pieces[PIECE_COUNT];
};

struct kv_log_map *kv_log_map_create(void)
{
    if (sizeof(void *) < 8) {
        return NULL; /* 4 GiB of addresses belong to the host program. */
    }
    kvstore_error before = *kvstore_last_error();
    struct kv_log_map *map = kv_io_allocate(sizeof *map);
    if (map != NULL) {
        memset(map, 0, sizeof *map);
    }
    kv_fail_again(&before);
    return map;
}

static unsigned piece_of(uint64_t offset)
{
    unsigned number = 0;
    while (offset >> (FIRST_PIECE_BITS + number) != 0) {
        number++;
    }
    return number;
}

static uint64_t piece_start(unsigned number)
{
    return number == 0 ? 0 : UINT64_C(1) << (FIRST_PIECE_BITS + number - 1);
}

static uint64_t piece_end(unsigned number)
{
    return UINT64_C(1) << (FIRST_PIECE_BITS + number);
}

static size_t piece_size(unsigned number)
{
    return (size_t)(piece_end(number) - piece_start(number));
}

void kv_log_map_free(struct kv_log_map *map)
{
    for (unsigned i = 0; map != NULL && i < PIECE_COUNT; i++) {
        char *piece = atomic_load(&map->pieces[i]);
        if (piece != NULL) {
            kv_io_unmap(piece, piece_size(i));
        }
    }
    kv_io_free(map);
}

/* Maps a piece. Of two threads that do so at once, one keeps its own. */
static char *map_piece(struct kv_log_map *map,
                       const struct kv_io_file *file,
                       unsigned number)
{
    kvstore_error before = *kvstore_last_error();
    void *memory = NULL;
    if (kv_io_map(
            file, piece_start(number), piece_size(number), false, &memory) !=
        KVSTORE_OK) {
        atomic_store(&map->is_refused, true);
        kv_fail_again(&before);
        return NULL;
    }
    char *piece = NULL;
    if (!atomic_compare_exchange_strong(&map->pieces[number], &piece, memory)) {
        kv_io_unmap(memory, piece_size(number));
        return piece;
    }
    return memory;
}

/* Does mapping pay for this reader? */
static bool reads_enough(struct kv_log_map *map)
{
    return atomic_load_explicit(&map->reads, memory_order_relaxed) >=
               READS_BEFORE_MAPPING ||
           atomic_fetch_add_explicit(&map->reads, 1, memory_order_relaxed) >=
               READS_BEFORE_MAPPING;
}

/* True if the file has some bytes from an offset on. An index may say so that is not
 * of the log; beyond the file's end a page of the mapping is a SIGBUS. */
static bool has_bytes(struct kv_log_map *map,
                      const struct kv_io_file *file,
                      uint64_t offset)
{
    uint64_t size = atomic_load_explicit(&map->size, memory_order_relaxed);
    if (offset >= size || size - offset < MOST_LINES_SIZE) {
        kvstore_error before = *kvstore_last_error();
        if (kv_io_end(file, &size) != KVSTORE_OK) {
            kv_fail_again(&before);
        }
        atomic_store_explicit(&map->size, size, memory_order_relaxed);
    }
    return offset < size;
}

const char *kv_log_map_find(struct kv_log_map *map,
                            const struct kv_io_file *file,
                            uint64_t offset,
                            uint64_t *count_out)
{
    if (offset > KV_OFFSET_MAX || !reads_enough(map) ||
        !has_bytes(map, file, offset)) {
        return NULL;
    }
    unsigned number = piece_of(offset);
    char *piece =
        atomic_load_explicit(&map->pieces[number], memory_order_acquire);
    if (piece == NULL && !atomic_load(&map->is_refused)) {
        piece = map_piece(map, file, number);
    }
    if (piece == NULL) {
        return NULL;
    }
    uint64_t size = atomic_load_explicit(&map->size, memory_order_relaxed);
    uint64_t end = piece_end(number) < size ? piece_end(number) : size;
    if (offset >= end) {
        return NULL;
    }
    *count_out = end - offset;
    return piece + (offset - piece_start(number));
}

const char *kv_log_map_peek(const struct kv_log_map *map, uint64_t offset)
{
    if (offset > KV_OFFSET_MAX ||
        offset >= atomic_load_explicit(&map->size, memory_order_relaxed)) {
        return NULL;
    }
    unsigned number = piece_of(offset);
    const char *piece =
        atomic_load_explicit(&map->pieces[number], memory_order_acquire);
    return piece == NULL ? NULL : piece + (offset - piece_start(number));
}
