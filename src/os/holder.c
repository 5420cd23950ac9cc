/* SPDX-License-Identifier: MIT */

/* Reads /proc/locks, which has a line for each lock:
 *
 *     3: FLOCK  ADVISORY  WRITE 11453 fe:00:10952844 0 EOF
 *
 * with the process, and the device and inode of the file. A lock that is still
 * waited for has an arrow before FLOCK. Some file systems show another device
 * there than in stat(), so it is not compared. */

#include "os/holder.h"

#include "kvstore.h"
#include "os/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Enough for some twenty thousand locks. */
#define LOCKS_SIZE_MAX ((uint64_t)1 << 20)

struct search {
    uint64_t process_id;
    uint64_t inode;
    bool is_found;
    char line[128]; /* As far as it has been read; a longer one is cut. */
    size_t size;
};

static bool is_number(const char *text, uint64_t number)
{
    char *end = NULL;
    return strtoull(text, &end, 10) == number && end != text && *end == '\0';
}

static void judge_line(struct search *search)
{
    enum { TYPE = 1, ACCESS = 3, PROCESS = 4, INODE = 5, WORDS };
    char *parts[WORDS];
    char *rest = NULL;
    char *word = strtok_r(search->line, " ", &rest);
    for (int i = 0; i < WORDS; i++) {
        if (word == NULL) {
            return;
        }
        parts[i] = word;
        word = strtok_r(NULL, " ", &rest);
    }
    const char *colon = strrchr(parts[INODE], ':');
    search->is_found |= strcmp(parts[TYPE], "FLOCK") == 0 &&
                        strcmp(parts[ACCESS], "WRITE") == 0 &&
                        is_number(parts[PROCESS], search->process_id) &&
                        colon != NULL && is_number(colon + 1, search->inode);
}

static void search_bytes(struct search *search, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            search->line[search->size] = '\0';
            judge_line(search);
            search->size = 0;
        } else if (search->size < sizeof search->line - 1) {
            search->line[search->size++] = bytes[i];
        }
    }
}

static void search_locks(struct search *search, const struct kv_io_file *locks)
{
    char bytes[4096];
    size_t part = 1;
    for (uint64_t offset = 0;
         part > 0 && offset < LOCKS_SIZE_MAX && !search->is_found;
         offset += part) {
        (void)kv_io_read_some(locks, offset, bytes, sizeof bytes, &part);
        search_bytes(search, bytes, part);
    }
}

bool kv_io_is_locked_by(const struct kv_io_file *file, uint64_t process_id)
{
    assert(file->fd >= 0);
    kvstore_error before = *kvstore_last_error();
    struct kv_io_file locks = KV_IO_FILE_NONE;
    struct kv_io_stat stat;
    struct search search = {.process_id = process_id};
    /* The name is absolute: the directory does not matter. */
    if (kv_io_stat(file, &stat) == KVSTORE_OK &&
        kv_io_open(file, "/proc/locks", KV_IO_READ, &locks) == KVSTORE_OK) {
        search.inode = stat.inode;
        search_locks(&search, &locks);
    }
    kv_io_close(&locks);
    kv_fail_again(&before);
    return search.is_found;
}
