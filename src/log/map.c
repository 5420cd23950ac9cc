/* SPDX-License-Identifier: MIT */

/* The bytes of a log in memory.
 *
 * Invariants:
 * 1. A piece once mapped stays where it is until the map is freed, so readers
 *    need no lock. It extends past the end of the file: what is appended later
 *    shows up in it.
 * 2. The first piece has 64 MiB, and each further one as much as all before it
 *    together: so 15 of them hold 1 TiB, and at most half of what is mapped is
 *    past the end.
 * 3. A reader of only a few lines, such as the command, maps nothing: touching
 *    a page for the first time costs more than reading it. */

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
#define PIECE_COUNT 15
#define READS_BEFORE_MAPPING 64u

/* If less of the file is left than nearly every line takes, it may have
 * grown. */
#define MOST_LINES_SIZE 512u

static_assert(KV_OFFSET_MAX < UINT64_C(1)
                                  << (FIRST_PIECE_BITS + PIECE_COUNT - 1),
              "the pieces hold a log of any size");

struct kv_log_map {
    atomic_uint reads;
    atomic_bool is_refused; /* The system has no room for a piece. */
    _Atomic uint64_t size;  /* Of the file, when last asked for. */
    _Atomic(char *) pieces[PIECE_COUNT];
};

struct kv_log_map *kv_log_map_create(void)
{
    if (sizeof(void *) < 8) {
        return NULL; /* 4 GiB of addresses belong to the host program. */
    }
    kv_error_hold();
    struct kv_log_map *map = kv_io_allocate(sizeof *map);
    if (map != NULL) {
        memset(map, 0, sizeof *map);
    }
    kv_error_release();
    return map;
}

static unsigned piece_of(uint64_t offset)
{
    uint64_t part = offset >> FIRST_PIECE_BITS;
    return part == 0 ? 0 : 64 - (unsigned)__builtin_clzll(part);
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
    void *memory = NULL;
    kv_error_hold();
    kvstore_status status = kv_io_map(
        file, piece_start(number), piece_size(number), false, &memory);
    kv_error_release();
    if (status != KVSTORE_OK) {
        atomic_store(&map->is_refused, true);
        return NULL;
    }
    char *piece = NULL;
    if (!atomic_compare_exchange_strong(&map->pieces[number], &piece, memory)) {
        kv_io_unmap(memory, piece_size(number));
        return piece;
    }
    return memory;
}

/* True if mapping pays for this reader. */
static bool reads_enough(struct kv_log_map *map)
{
    return atomic_load_explicit(&map->reads, memory_order_relaxed) >=
               READS_BEFORE_MAPPING ||
           atomic_fetch_add_explicit(&map->reads, 1, memory_order_relaxed) >=
               READS_BEFORE_MAPPING;
}

/* Asks how large the file is. */
static uint64_t refresh_size(struct kv_log_map *map,
                             const struct kv_io_file *file)
{
    uint64_t size = 0; /* Then nothing is read by the map. */
    kv_error_hold();
    (void)kv_io_end(file, &size);
    kv_error_release();
    atomic_store_explicit(&map->size, size, memory_order_relaxed);
    return size;
}

/* Returns the size of a file that has this end, as far as it is known. An index
 * that is not of the log may lead past the file's end, where a page of the
 * mapping is a SIGBUS. */
static uint64_t size_for(struct kv_log_map *map,
                         const struct kv_io_file *file,
                         uint64_t end)
{
    uint64_t size = atomic_load_explicit(&map->size, memory_order_relaxed);
    return end <= size ? size : refresh_size(map, file);
}

/* Returns the piece where an offset is, or NULL. */
static char *find_piece(struct kv_log_map *map,
                        const struct kv_io_file *file,
                        unsigned number)
{
    char *piece =
        atomic_load_explicit(&map->pieces[number], memory_order_acquire);
    return piece == NULL && !atomic_load(&map->is_refused)
               ? map_piece(map, file, number)
               : piece;
}

const char *kv_log_map_find(struct kv_log_map *map,
                            const struct kv_io_file *file,
                            uint64_t offset,
                            uint64_t *count_out)
{
    if (offset > KV_OFFSET_MAX || !reads_enough(map)) {
        return NULL;
    }
    uint64_t size = size_for(map, file, offset + MOST_LINES_SIZE);
    unsigned number = piece_of(offset);
    char *piece = offset < size ? find_piece(map, file, number) : NULL;
    if (piece == NULL) {
        return NULL;
    }
    uint64_t end = piece_end(number) < size ? piece_end(number) : size;
    *count_out = end - offset;
    return piece + (offset - piece_start(number));
}

const char *kv_log_map_get(struct kv_log_map *map,
                           const struct kv_io_file *file,
                           uint64_t offset,
                           size_t size)
{
    uint64_t end = offset + size;
    unsigned number = piece_of(offset);
    if (end > KV_OFFSET_MAX || end > piece_end(number) || !reads_enough(map) ||
        end > size_for(map, file, end)) {
        return NULL;
    }
    char *piece = find_piece(map, file, number);
    return piece == NULL ? NULL : piece + (offset - piece_start(number));
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
