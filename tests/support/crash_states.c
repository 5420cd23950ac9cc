/* SPDX-License-Identifier: MIT */

/* Lays out and checks what a power cut may leave. */

#include "crash_states.h"

#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define VALUES_MAX 16
#define PENDING_MAX 24
#define CHOICES_MAX 2048
#define FILES_MAX 8
#define FILE_SIZE_MAX ((size_t)64 << 10)
#define SEEN_SLOTS ((size_t)1 << 22)

/* --- The oracle at one event --- */

struct oracle {
    struct {
        const char *values[VALUES_MAX]; /* What the key may hold. */
        size_t count;
        const char *acknowledged; /* The newest, durable or not. */
    } keys[CRASH_KEYS_MAX];
};

static void oracle_step(struct oracle *oracle, const struct crash_event *event)
{
    if (event->type == CRASH_BARRIER) {
        for (int i = 0; i < CRASH_KEYS_MAX; i++) {
            oracle->keys[i].values[0] = oracle->keys[i].acknowledged;
            oracle->keys[i].count = 1;
        }
    }
    size_t *count = &oracle->keys[event->key].count;
    if (event->type == CRASH_BEGIN) {
        if (*count == VALUES_MAX) {
            scratch_die("too many values in a trace");
        }
        oracle->keys[event->key].values[(*count)++] = event->value;
    }
    if (event->type == CRASH_ACK) {
        oracle->keys[event->key].acknowledged = event->value;
        if (event->is_durable) {
            oracle->keys[event->key].values[0] = event->value;
            *count = 1;
        }
    }
}

static bool oracle_allows(const struct oracle *oracle,
                          int key,
                          const char *value)
{
    for (size_t i = 0; i < oracle->keys[key].count; i++) {
        const char *allowed = oracle->keys[key].values[i];
        if (allowed == value ||
            (allowed != NULL && value != NULL && strcmp(allowed, value) == 0)) {
            return true;
        }
    }
    return false;
}

/* --- What is pending at one event --- */

/* The events of one inode or of the names, in order; and which of them a power
 * cut may undo. */
struct history {
    size_t all[256];
    bool is_pending[256];
    size_t count;
    size_t pending[PENDING_MAX]; /* Places in all. */
    size_t pending_count;
};

static void history_add(struct history *history,
                        const struct crash_trace *trace,
                        size_t at)
{
    static const bool is_change[] = {[CRASH_WRITE] = true,
                                     [CRASH_CUT] = true,
                                     [CRASH_LINK] = true,
                                     [CRASH_RENAME] = true,
                                     [CRASH_UNLINK] = true,
                                     [CRASH_BARRIER] = false};
    enum crash_event_type type = trace->events[at].type;
    bool is_lost = type == CRASH_SYNC_LOST;
    if (is_change[type]) {
        if (history->count == 256) {
            scratch_die("too long a trace");
        }
        history->is_pending[history->count] = true;
        history->all[history->count++] = at;
        return;
    }
    /* A sync settles what came since the last one, failed or not. */
    for (size_t i = history->count; !is_lost && i > 0; i--) {
        if (history->all[i - 1] == SIZE_MAX) {
            break;
        }
        history->is_pending[i - 1] = false;
    }
    if (is_lost) {
        history->is_pending[history->count] = false;
        history->all[history->count++] = SIZE_MAX;
    }
}

static void find_pending(struct history *history)
{
    history->pending_count = 0;
    for (size_t i = 0; i < history->count; i++) {
        if (!history->is_pending[i]) {
            continue;
        }
        if (history->pending_count == PENDING_MAX) {
            scratch_die("too much is pending in a trace");
        }
        history->pending[history->pending_count++] = i;
    }
}

/* --- Choices --- */

enum part { WHOLE, CUT_SHORT, WITH_HOLES, WITHOUT_SECTOR };

/* Which of the pending changes are there, and how much of one of them. */
struct choice {
    uint32_t mask;
    enum part part;
    size_t partial;    /* The pending change that is there in part, */
    uint64_t argument; /* its size, or which of its sectors are there; or the
                          sector of the file that none of them has reached. */
};

struct choices {
    struct choice all[CHOICES_MAX];
    size_t count;
};

static uint64_t random_bits(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void choose(struct choices *choices, struct choice choice)
{
    if (choices->count < CHOICES_MAX) {
        choices->all[choices->count++] = choice;
    }
}

/* Chooses all subsets if there are few, else all prefixes. */
static void choose_subsets(struct choices *choices, size_t pending_count)
{
    size_t few = scratch_number("KVSTORE_CRASH_SUBSETS", 6);
    if (pending_count <= few) {
        for (uint32_t mask = 0; mask < 1u << pending_count; mask++) {
            choose(choices, (struct choice){.mask = mask});
        }
        return;
    }
    for (size_t i = 0; i <= pending_count; i++) {
        choose(choices, (struct choice){.mask = (1u << i) - 1});
    }
}

static size_t sector_count(const struct crash_event *write)
{
    uint64_t first = write->offset / SECTOR;
    uint64_t last = (write->offset + write->size - 1) / SECTOR;
    return (size_t)(last - first + 1);
}

static void choose_prefixes(struct choices *choices,
                            const struct crash_event *write,
                            size_t pending,
                            uint32_t mask)
{
    struct choice choice = {
        .mask = mask | 1u << pending, .part = CUT_SHORT, .partial = pending};
    const size_t sizes[] = {1, write->size / 2, write->size - 1};
    for (size_t i = 0; i < 3; i++) {
        choice.argument = sizes[i];
        choose(choices, choice);
    }
    for (uint64_t edge = write->offset / SECTOR * SECTOR + SECTOR;
         edge < write->offset + write->size;
         edge += SECTOR) {
        choice.argument = edge - write->offset;
        choose(choices, choice);
    }
}

static void choose_holes(struct choices *choices,
                         const struct crash_event *write,
                         size_t pending,
                         size_t pending_count)
{
    struct choice choice = {.mask =
                                (uint32_t)((UINT64_C(1) << pending_count) - 1),
                            .part = WITH_HOLES,
                            .partial = pending};
    size_t sectors = sector_count(write);
    uint64_t full = sectors >= 64 ? UINT64_MAX : (UINT64_C(1) << sectors) - 1;
    if (sectors <= scratch_number("KVSTORE_CRASH_SECTORS", 6)) {
        for (uint64_t mask = 0; mask < full; mask++) {
            choice.argument = mask;
            choose(choices, choice);
        }
        return;
    }
    for (size_t i = 0; i < sectors && i < 64; i++) {
        choice.argument = full & ~(UINT64_C(1) << i);
        choose(choices, choice);
        choice.argument = UINT64_C(1) << i;
        choose(choices, choice);
        choice.argument = full & random_bits();
        choose(choices, choice);
    }
    choice.argument = 0;
    choose(choices, choice);
}

/* Chooses that a sector is as it was before all that is pending. */
static void choose_stale_sectors(struct choices *choices,
                                 const struct crash_event *write,
                                 size_t pending_count)
{
    uint64_t first = write->offset / SECTOR;
    for (size_t i = 0; i < sector_count(write); i++) {
        choose(choices,
               (struct choice){
                   .mask = (uint32_t)((UINT64_C(1) << pending_count) - 1),
                   .part = WITHOUT_SECTOR,
                   .argument = first + i});
    }
}

/* Chooses what may be there of an inode. The first choice is all of it, the
 * second nothing that is pending. */
static void choose_contents(struct choices *choices,
                            const struct crash_trace *trace,
                            const struct history *history)
{
    size_t pending_count = history->pending_count;
    choices->count = 0;
    choose(choices,
           (struct choice){.mask =
                               (uint32_t)((UINT64_C(1) << pending_count) - 1)});
    choose(choices, (struct choice){.mask = 0});
    choose_subsets(choices, pending_count);
    size_t from = pending_count > 3 ? pending_count - 3 : 0;
    for (size_t i = from; i < pending_count; i++) {
        const struct crash_event *event =
            &trace->events[history->all[history->pending[i]]];
        if (event->type == CRASH_WRITE) {
            choose_prefixes(choices, event, i, (1u << i) - 1);
            choose_prefixes(choices, event, i, 0);
            choose_holes(choices, event, i, pending_count);
            choose_stale_sectors(choices, event, pending_count);
        }
    }
}

/* --- Laying out --- */

struct file {
    int inode; /* -1: no such name. */
    char name[CRASH_NAME_SIZE];
    char *bytes;
    size_t size;
};

/* The added bytes are NULs. */
static void set_size(struct file *file, size_t size)
{
    if (size > FILE_SIZE_MAX) {
        scratch_die("too large a file in a trace");
    }
    if (size > file->size) {
        memset(file->bytes + file->size, 0, size - file->size);
    }
    file->size = size;
}

static bool has_sector(const struct crash_event *write,
                       const struct choice *choice,
                       uint64_t sector)
{
    if (choice != NULL && choice->part == WITHOUT_SECTOR) {
        return sector != choice->argument;
    }
    uint64_t number = sector - write->offset / SECTOR;
    return choice == NULL || choice->part != WITH_HOLES || number >= 64 ||
           (choice->argument >> number & 1) != 0;
}

static void write_part(struct file *file,
                       const struct crash_event *write,
                       const struct choice *choice)
{
    size_t size = write->size;
    if (choice != NULL && choice->part == CUT_SHORT) {
        size = (size_t)choice->argument;
    }
    size_t end = (size_t)write->offset + size;
    if (end > file->size) {
        set_size(file, end);
    }
    for (size_t i = 0; i < size; i++) {
        if (has_sector(write, choice, (write->offset + i) / SECTOR)) {
            file->bytes[write->offset + i] = write->bytes[i];
        }
    }
}

static void lay_out_content(const struct crash_trace *trace,
                            const struct history *history,
                            const struct choice *choice,
                            struct file *file)
{
    file->size = 0;
    if (file->inode == 0 && trace->has_base) {
        memcpy(file->bytes, trace->base, trace->base_size);
        file->size = trace->base_size;
    }
    size_t pending = 0;
    for (size_t i = 0; i < history->count; i++) {
        if (history->all[i] == SIZE_MAX) {
            continue;
        }
        bool is_pending = history->is_pending[i];
        if (is_pending && (choice->mask >> pending & 1) == 0) {
            pending++;
            continue;
        }
        bool is_partial =
            is_pending && choice->part != WHOLE &&
            (choice->part == WITHOUT_SECTOR || choice->partial == pending);
        const struct choice *part = is_partial ? choice : NULL;
        pending += is_pending ? 1 : 0;
        const struct crash_event *event = &trace->events[history->all[i]];
        if (event->type == CRASH_WRITE) {
            write_part(file, event, part);
        } else {
            set_size(file, (size_t)event->offset);
        }
    }
}

static void put_name(struct file *files, const char *name, int inode)
{
    size_t free_place = FILES_MAX;
    for (size_t i = 0; i < FILES_MAX; i++) {
        bool is_used = files[i].inode >= 0;
        if (is_used && strcmp(files[i].name, name) == 0) {
            files[i].inode = inode;
            return;
        }
        if (!is_used && free_place == FILES_MAX) {
            free_place = i;
        }
    }
    if (inode < 0) {
        return;
    }
    if (free_place == FILES_MAX) {
        scratch_die("too many files in a trace");
    }
    files[free_place].inode = inode;
    (void)snprintf(files[free_place].name, CRASH_NAME_SIZE, "%s", name);
}

static void lay_out_names(const struct crash_trace *trace,
                          const struct history *names,
                          uint32_t mask,
                          struct file *files)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        files[i].inode = -1;
    }
    if (trace->has_base) {
        put_name(files, "store.log", 0);
    }
    size_t pending = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (names->all[i] == SIZE_MAX ||
            (names->is_pending[i] && (mask >> pending++ & 1) == 0)) {
            continue;
        }
        const struct crash_event *event = &trace->events[names->all[i]];
        if (event->type == CRASH_LINK) {
            put_name(files, event->name, event->inode);
        } else {
            put_name(files, event->name, -1);
        }
        if (event->type == CRASH_RENAME) {
            put_name(files, event->to, event->inode);
        }
    }
}

/* --- Checking one state --- */

struct explorer {
    const struct crash_trace *trace;
    struct crash_result *result;
    struct oracle oracle;
    struct history names;
    struct history inodes[CRASH_INODES_MAX];
    bool has_directory;      /* The store's, certainly. */
    bool may_have_directory; /* Perhaps. */
    struct file files[FILES_MAX];
    size_t event;
    bool ends_at_first;
    char path[SCRATCH_PATH_SIZE + 16];
};

static void violation(struct explorer *explorer,
                      const char *what,
                      const char *detail)
{
    struct crash_result *result = explorer->result;
    if (result->violations++ == 0) {
        (void)snprintf(result->first,
                       sizeof result->first,
                       "at event %zu: %s %.100s",
                       explorer->event,
                       what,
                       detail);
    }
}

/* Reads every key; a value seen before must be seen again. */
static void check_values(struct explorer *explorer,
                         const kvstore *store,
                         char **seen,
                         bool is_first)
{
    for (int i = 0; i < explorer->trace->key_count; i++) {
        const char *key = explorer->trace->keys[i];
        void *value = NULL;
        size_t size = 0;
        kvstore_status status =
            kvstore_get(store, key, strlen(key), &value, &size);
        bool is_told = status == KVSTORE_CORRUPT &&
                       explorer->result->may_be_damaged &&
                       explorer->oracle.keys[i].count > 1;
        if (is_told) {
            explorer->result->told += is_first ? 1 : 0;
        } else if (status != KVSTORE_OK && status != KVSTORE_NOT_FOUND) {
            violation(explorer, "a get failed:", key);
        } else if (!oracle_allows(&explorer->oracle, i, value)) {
            violation(explorer, "a key has a wrong value:", key);
        } else if (!is_first &&
                   ((seen[i] == NULL) != (value == NULL) ||
                    (value != NULL && strcmp(seen[i], value) != 0))) {
            violation(explorer, "a value did not stay:", key);
        }
        kvstore_free(seen[i]);
        seen[i] = value;
    }
    kvstore_stats stats;
    if (kvstore_get_stats(store, &stats) != KVSTORE_OK ||
        stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
                stats.damaged_bytes !=
            stats.log_bytes) {
        violation(explorer, "the bytes do not add up", "");
    }
    explorer->result->damaged += is_first && stats.damaged_records > 0;
}

/* The keys of a pair were written by batches alone: they have the same value, or
 * a damaged line is told. */
static void check_pair(struct explorer *explorer, const kvstore *store)
{
    const char *const keys[] = {CRASH_PAIR_ONE, CRASH_PAIR_OTHER};
    char *values[2] = {NULL};
    kvstore_status statuses[2];
    for (int i = 0; i < 2; i++) {
        void *value = NULL;
        size_t size = 0;
        statuses[i] =
            kvstore_get(store, keys[i], strlen(keys[i]), &value, &size);
        values[i] = value;
    }
    bool is_same =
        statuses[0] == statuses[1] &&
        (statuses[0] != KVSTORE_OK || strcmp(values[0], values[1]) == 0);
    bool is_told =
        statuses[0] == KVSTORE_CORRUPT || statuses[1] == KVSTORE_CORRUPT;
    if (!is_same && !is_told) {
        violation(explorer, "half of a batch is there", "");
    }
    kvstore_free(values[0]);
    kvstore_free(values[1]);
}

static void check_state(struct explorer *explorer)
{
    char *seen[CRASH_KEYS_MAX] = {NULL};
    kvstore *store = NULL;
    explorer->result->states++;
    for (int round = 0; round < 2; round++) {
        if (kvstore_open(explorer->path, NULL, &store) != KVSTORE_OK) {
            violation(explorer, "open:", kvstore_last_error()->message);
            return;
        }
        check_values(explorer, store, seen, round == 0);
        check_pair(explorer, store);
        if (kvstore_set(store, "probe", 5, "1", 1) != KVSTORE_OK) {
            violation(explorer, "set:", kvstore_last_error()->message);
        }
        if (explorer->result->states % 4 == 0 &&
            kvstore_compact(store) != KVSTORE_OK) {
            violation(explorer, "compact:", kvstore_last_error()->message);
        }
        kvstore_close(store);
    }
    for (int i = 0; i < CRASH_KEYS_MAX; i++) {
        kvstore_free(seen[i]);
    }
}

/* --- Going through the states --- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const unsigned char *)bytes)[i]) *
               UINT64_C(1099511628211);
    }
    return hash;
}

/* True if this state was met before, with these promises. The values that a key
 * may hold are distinguished by their addresses. */
static uint64_t seen[SEEN_SLOTS];

void crash_states_forget(void)
{
    memset(seen, 0, sizeof seen);
}

static bool is_new(struct explorer *explorer, bool has_directory)
{
    uint64_t hash = UINT64_C(14695981039346656037) + has_directory;
    for (size_t i = 0; has_directory && i < FILES_MAX; i++) {
        const struct file *file = &explorer->files[i];
        if (file->inode >= 0) {
            hash = hash_bytes(hash, file->name, strlen(file->name) + 1);
            hash = hash_bytes(hash, file->bytes, file->size);
        }
    }
    for (int i = 0; i < explorer->trace->key_count; i++) {
        const char *key = explorer->trace->keys[i];
        hash = hash_bytes(hash, key, strlen(key) + 1);
        hash = hash_bytes(hash,
                          explorer->oracle.keys[i].values,
                          explorer->oracle.keys[i].count * sizeof(char *));
    }
    hash |= 1;
    size_t slot = (size_t)(hash >> 20) % SEEN_SLOTS;
    for (size_t i = 0; i < 64; i++, slot = (slot + 1) % SEEN_SLOTS) {
        if (seen[slot] == hash) {
            return false;
        }
        if (seen[slot] == 0) {
            seen[slot] = hash;
            return true;
        }
    }
    return true;
}

/* True if the bytes that may be moved, but not dropped, are in some file. */
static bool has_kept(const struct explorer *explorer)
{
    const char *kept = explorer->trace->kept;
    size_t size = kept == NULL ? 0 : strlen(kept);
    bool is_there = kept == NULL;
    for (size_t i = 0; i < FILES_MAX && !is_there; i++) {
        const struct file *file = &explorer->files[i];
        size_t starts =
            file->inode >= 0 && file->size >= size ? file->size - size + 1 : 0;
        for (size_t at = 0; at < starts && !is_there; at++) {
            is_there = memcmp(file->bytes + at, kept, size) == 0;
        }
    }
    return is_there;
}

static void write_files(const struct explorer *explorer)
{
    scratch_empty(explorer->path);
    for (size_t i = 0; i < FILES_MAX; i++) {
        const struct file *file = &explorer->files[i];
        if (file->inode >= 0) {
            scratch_write(explorer->path, file->name, file->bytes, file->size);
        }
    }
}

static void try_state(struct explorer *explorer, bool has_directory)
{
    bool is_over = explorer->ends_at_first && explorer->result->violations > 0;
    if (is_over || !is_new(explorer, has_directory)) {
        return;
    }
    if (has_directory && !has_kept(explorer)) {
        violation(explorer, "bytes were dropped", "");
    }
    if (has_directory) {
        write_files(explorer);
    } else {
        scratch_remove(explorer->path);
    }
    check_state(explorer);
}

/* Tries all that one file may hold while the others hold all or nothing of what
 * is pending there. */
static void try_contents(struct explorer *explorer, size_t varied, bool is_rest)
{
    static struct choices choices;
    const struct crash_trace *trace = explorer->trace;
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct file *file = &explorer->files[i];
        if (file->inode >= 0) {
            choose_contents(&choices, trace, &explorer->inodes[file->inode]);
            lay_out_content(trace,
                            &explorer->inodes[file->inode],
                            &choices.all[is_rest ? 0 : 1],
                            file);
        }
    }
    struct file *file = &explorer->files[varied];
    const struct history *history = &explorer->inodes[file->inode];
    choose_contents(&choices, trace, history);
    for (size_t i = 0; i < choices.count; i++) {
        lay_out_content(trace, history, &choices.all[i], file);
        try_state(explorer, true);
    }
}

static void try_files(struct explorer *explorer)
{
    bool has_files = false;
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (explorer->files[i].inode >= 0) {
            has_files = true;
            try_contents(explorer, i, true);
            try_contents(explorer, i, false);
        }
    }
    if (!has_files) {
        try_state(explorer, true);
    }
}

static void try_names(struct explorer *explorer)
{
    static struct choices subsets;
    subsets.count = 0;
    choose_subsets(&subsets, explorer->names.pending_count);
    for (size_t i = 0; i < subsets.count; i++) {
        lay_out_names(explorer->trace,
                      &explorer->names,
                      subsets.all[i].mask,
                      explorer->files);
        try_files(explorer);
    }
}

/* Takes one event into account. */
static void step(struct explorer *explorer)
{
    const struct crash_event *event = &explorer->trace->events[explorer->event];
    switch (event->type) {
    case CRASH_WRITE:
    case CRASH_CUT:
    case CRASH_SYNC:
    case CRASH_SYNC_LOST:
        history_add(
            &explorer->inodes[event->inode], explorer->trace, explorer->event);
        find_pending(&explorer->inodes[event->inode]);
        break;
    case CRASH_LINK:
    case CRASH_RENAME:
    case CRASH_UNLINK:
    case CRASH_SYNC_NAMES:
        history_add(&explorer->names, explorer->trace, explorer->event);
        find_pending(&explorer->names);
        break;
    case CRASH_MKDIR:
        explorer->may_have_directory = true;
        break;
    case CRASH_SYNC_ROOT:
        explorer->has_directory = explorer->may_have_directory;
        break;
    case CRASH_BEGIN:
    case CRASH_ACK:
    case CRASH_BARRIER:
        oracle_step(&explorer->oracle, event);
        break;
    }
}

static void prepare(struct explorer *explorer)
{
    explorer->has_directory = explorer->trace->has_base;
    explorer->may_have_directory = explorer->trace->has_base;
    (void)snprintf(explorer->path,
                   sizeof explorer->path,
                   "%s/state",
                   explorer->trace->root);
    for (int i = 0; i < CRASH_KEYS_MAX; i++) {
        explorer->oracle.keys[i].count = 1; /* At first a key is absent. */
    }
    for (size_t i = 0; i < FILES_MAX; i++) {
        explorer->files[i].bytes = malloc(FILE_SIZE_MAX);
        if (explorer->files[i].bytes == NULL) {
            scratch_die("explorer");
        }
    }
}

void crash_states_explore(const struct crash_trace *trace,
                          size_t first_event,
                          bool ends_at_first,
                          struct crash_result *result)
{
    struct explorer *explorer = calloc(1, sizeof *explorer);
    if (explorer == NULL) {
        scratch_die("explorer");
    }
    explorer->trace = trace;
    explorer->result = result;
    explorer->ends_at_first = ends_at_first;
    prepare(explorer);
    for (; explorer->event < trace->event_count; explorer->event++) {
        step(explorer);
        if (explorer->event < first_event) {
            continue;
        }
        if (!explorer->has_directory) {
            try_state(explorer, false);
        }
        if (explorer->may_have_directory) {
            try_names(explorer);
        }
    }
    for (size_t i = 0; i < FILES_MAX; i++) {
        free(explorer->files[i].bytes);
    }
    free(explorer);
}
