/* SPDX-License-Identifier: MIT */

/* Lays out and checks what a power cut may leave. */

#include "crash_states.h"

#include "crash_check.h"
#include "crash_recovery.h"
#include "scratch.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define PENDING_MAX 24
#define CHOICES_MAX 2048
#define FILE_SIZE_MAX ((size_t)64 << 10)
#define SEEN_SLOTS ((size_t)1 << 22)

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
    if (choice == NULL || choice->part == CUT_SHORT) {
        memcpy(file->bytes + write->offset, write->bytes, size);
        return;
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
    if (file->inode < trace->base_count) {
        const struct crash_file *base = &trace->base[file->inode];
        set_size(file, base->size);
        memcpy(file->bytes, base->bytes, base->size);
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
    size_t free_place = CRASH_FILES_MAX;
    for (size_t i = 0; i < CRASH_FILES_MAX; i++) {
        bool is_used = files[i].inode >= 0;
        if (is_used && strcmp(files[i].name, name) == 0) {
            files[i].inode = inode;
            return;
        }
        if (!is_used && free_place == CRASH_FILES_MAX) {
            free_place = i;
        }
    }
    if (inode < 0) {
        return;
    }
    if (free_place == CRASH_FILES_MAX) {
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
    for (size_t i = 0; i < CRASH_FILES_MAX; i++) {
        files[i].inode = -1;
    }
    for (int i = 0; i < trace->base_count; i++) {
        put_name(files, trace->base[i].name, i);
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

/* --- Going through the states --- */

struct explorer {
    const struct crash_trace *trace;
    struct crash_result *result;
    struct crash_promises promises;
    struct history names;
    struct history inodes[CRASH_INODES_MAX];
    bool has_directory;      /* The store's, certainly. */
    bool may_have_directory; /* Perhaps. */
    struct file files[CRASH_FILES_MAX];
    struct choices contents;
    struct choices subsets;
    size_t event;
    bool ends_at_first;
    bool is_first_cut; /* Not that of a recovery. */
    struct crash_remains *waiting;
    char path[SCRATCH_PATH_SIZE + 16];
};

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    return XXH3_64bits_withSeed(bytes, size, hash);
}

static uint64_t hash_values(uint64_t hash,
                            const struct crash_promises *promises,
                            int key)
{
    for (size_t i = 0; i < promises->keys[key].count; i++) {
        const char *value = promises->keys[key].values[i];
        hash = value == NULL ? hash_bytes(hash, "", 1)
                             : hash_bytes(hash, value, strlen(value));
        hash = hash_bytes(hash, "|", 1);
    }
    return hash;
}

/* The states that were met before, with their promises. */
static uint64_t seen[SEEN_SLOTS];

void crash_states_forget(void)
{
    memset(seen, 0, sizeof seen);
}

static bool is_new(struct explorer *explorer, bool has_directory)
{
    uint64_t hash = UINT64_C(14695981039346656037) + has_directory;
    for (size_t i = 0; has_directory && i < CRASH_FILES_MAX; i++) {
        const struct file *file = &explorer->files[i];
        if (file->inode >= 0) {
            hash = hash_bytes(hash, file->name, strlen(file->name) + 1);
            hash = hash_bytes(hash, file->bytes, file->size);
        }
    }
    for (int i = 0; i < explorer->trace->key_count; i++) {
        const char *key = explorer->trace->keys[i];
        hash = hash_bytes(hash, key, strlen(key) + 1);
        hash = hash_values(hash, &explorer->promises, i);
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
    for (size_t i = 0; i < CRASH_FILES_MAX && !is_there; i++) {
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
    for (size_t i = 0; i < CRASH_FILES_MAX; i++) {
        const struct file *file = &explorer->files[i];
        if (file->inode >= 0) {
            scratch_write(explorer->path, file->name, file->bytes, file->size);
        }
    }
}

/* True if the recovery of the state that was checked last is to be cut, too. */
static bool is_recovery_cut(const struct explorer *explorer)
{
    const struct crash_result *result = explorer->result;
    return explorer->is_first_cut && result->cuts_recovery_at != 0 &&
           result->states % result->cuts_recovery_at == 0;
}

static void let_wait(struct explorer *explorer, bool has_directory)
{
    struct crash_remains *remains = calloc(1, sizeof *remains);
    if (remains == NULL) {
        scratch_die("remains");
    }
    for (size_t i = 0; has_directory && i < CRASH_FILES_MAX; i++) {
        const struct file *file = &explorer->files[i];
        if (file->inode >= 0) {
            crash_remains_add(remains, file->name, file->bytes, file->size);
        }
    }
    remains->has_directory = has_directory;
    remains->promises = explorer->promises;
    remains->next = explorer->waiting;
    explorer->waiting = remains;
}

static void try_state(struct explorer *explorer, bool has_directory)
{
    bool is_over = explorer->ends_at_first && explorer->result->violations > 0;
    if (is_over || !is_new(explorer, has_directory)) {
        return;
    }
    if (has_directory && !has_kept(explorer)) {
        crash_complain(
            explorer->result, explorer->event, "bytes were dropped", "");
    }
    if (has_directory) {
        write_files(explorer);
    } else {
        scratch_remove(explorer->path);
    }
    crash_check(explorer->trace,
                &explorer->promises,
                explorer->path,
                explorer->event,
                explorer->result);
    if (is_recovery_cut(explorer)) {
        let_wait(explorer, has_directory);
    }
}

/* Tries all that one file may hold while the others hold all or nothing of what
 * is pending there. */
static void try_contents(struct explorer *explorer, size_t varied, bool is_rest)
{
    struct choices *choices = &explorer->contents;
    const struct crash_trace *trace = explorer->trace;
    for (size_t i = 0; i < CRASH_FILES_MAX; i++) {
        struct file *file = &explorer->files[i];
        if (file->inode >= 0) {
            choose_contents(choices, trace, &explorer->inodes[file->inode]);
            lay_out_content(trace,
                            &explorer->inodes[file->inode],
                            &choices->all[is_rest ? 0 : 1],
                            file);
        }
    }
    struct file *file = &explorer->files[varied];
    const struct history *history = &explorer->inodes[file->inode];
    choose_contents(choices, trace, history);
    for (size_t i = 0; i < choices->count; i++) {
        lay_out_content(trace, history, &choices->all[i], file);
        try_state(explorer, true);
    }
}

static void try_files(struct explorer *explorer)
{
    bool has_files = false;
    for (size_t i = 0; i < CRASH_FILES_MAX; i++) {
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
    struct choices *subsets = &explorer->subsets;
    subsets->count = 0;
    choose_subsets(subsets, explorer->names.pending_count);
    for (size_t i = 0; i < subsets->count; i++) {
        lay_out_names(explorer->trace,
                      &explorer->names,
                      subsets->all[i].mask,
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
        crash_promises_step(&explorer->promises, event);
        break;
    }
}

static void prepare(struct explorer *explorer)
{
    explorer->has_directory = explorer->trace->has_directory;
    explorer->may_have_directory = explorer->trace->has_directory;
    (void)snprintf(explorer->path,
                   sizeof explorer->path,
                   "%s/state",
                   explorer->trace->root);
    crash_promises_begin(&explorer->promises);
    for (size_t i = 0; i < CRASH_FILES_MAX; i++) {
        explorer->files[i].bytes = malloc(FILE_SIZE_MAX);
        if (explorer->files[i].bytes == NULL) {
            scratch_die("explorer");
        }
    }
}

/* Explores one trace, and returns what waits for its recovery to be cut. */
static struct crash_remains *explore_trace(const struct crash_trace *trace,
                                           size_t first_event,
                                           bool is_first_cut,
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
    explorer->is_first_cut = is_first_cut;
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
    struct crash_remains *waiting = explorer->waiting;
    for (size_t i = 0; i < CRASH_FILES_MAX; i++) {
        free(explorer->files[i].bytes);
    }
    free(explorer);
    return waiting;
}

static void explore_recovery(const struct crash_remains *remains,
                             const struct crash_trace *cut,
                             bool ends_at_first,
                             struct crash_result *result)
{
    size_t first = 0;
    struct crash_trace *recovery =
        crash_recovery_record(remains, cut, &first, result);
    uint64_t before = result->states;
    (void)explore_trace(recovery, first, false, ends_at_first, result);
    result->recovery_states += result->states - before;
    crash_trace_release(recovery);
}

void crash_states_explore(const struct crash_trace *trace,
                          size_t first_event,
                          bool ends_at_first,
                          struct crash_result *result)
{
    struct crash_remains *waiting =
        explore_trace(trace, first_event, true, ends_at_first, result);
    while (waiting != NULL) {
        struct crash_remains *remains = waiting;
        waiting = remains->next;
        explore_recovery(remains, trace, ends_at_first, result);
        crash_remains_free(remains);
    }
}
