/* SPDX-License-Identifier: MIT */

/* Takes any bytes as a log, and an index of it that lies and is believed: calls
 * fail only by their status, what the log says is served or refused, and no
 * call loses what is sound, even if a system call of it fails. A model reads the
 * log on the disk before and after each call. */

#include "fuzz.h"
#include "index_lies.h"
#include "kvstore.h"
#include "log_model.h"
#include "store_input.h"
#include "store_scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG "store.log"
#define INDEX "store.index"
#define LISTED_MAX 512u

/* A store under test. */
struct scene {
    const struct store_input *input;
    kvstore *store;
    struct log_model model; /* Of the log as it is now. */
    bool is_lied_to;        /* The index may not be that of the log. */
    unsigned fails_at;      /* The call of the next step that fails; 0: none. */
    bool has_failed;        /* One has: the store may refuse writes. */
};

/* --- The log on the disk --- */

static void read_model(struct log_model *model)
{
    size_t size = 0;
    char *bytes = store_scene_read(LOG, &size);
    fuzz_check(bytes != NULL, "the log is there");
    log_model_read(model, bytes, size);
    free(bytes);
}

/* Returns where what is certainly no torn tail ends. */
static size_t settled_size(const struct log_model *model)
{
    size_t end = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct log_line *line = &model->lines[i];
        if (line->is_settled) {
            end = line->offset + line->size;
        }
    }
    return end;
}

static bool is_prefix_kept(const struct log_model *before,
                           const struct log_model *after)
{
    size_t size = settled_size(before);
    return after->size >= size &&
           (before->bytes == NULL || size == 0 ||
            memcmp(before->bytes, after->bytes, size) == 0);
}

static void take_model(struct scene *scene, struct log_model *model)
{
    log_model_release(&scene->model);
    scene->model = *model;
}

/* --- Answers --- */

static bool is_refusal(kvstore_status status)
{
    return status != KVSTORE_OK && status != KVSTORE_NOT_FOUND &&
           status != KVSTORE_INVALID && status != KVSTORE_INVALID_KEY;
}

static bool is_told_refusal(kvstore_status status)
{
    return status == KVSTORE_CORRUPT || status == KVSTORE_UNSUPPORTED;
}

/* Checks what a store answers whose index is the log's. */
static void check_true_answer(const struct log_answer *answer,
                              kvstore_status status,
                              const struct line_text *value)
{
    if (answer->is_refused) {
        fuzz_check(is_told_refusal(status),
                   "a key whose newest line is damaged is refused");
        return;
    }
    if (answer->may_be_refused && is_told_refusal(status)) {
        return;
    }
    if (!answer->has_value) {
        fuzz_check(status == KVSTORE_NOT_FOUND,
                   "what the log does not have is not found");
        return;
    }
    fuzz_check(status != KVSTORE_NOT_FOUND, "a live key is found");
    fuzz_check(status == KVSTORE_OK, "a live key is served");
    const struct line_text *own = &answer->newest->verdict.value;
    fuzz_check(fuzz_equal(own->bytes, own->size, value->bytes, value->size),
               "a key is served with its newest value");
}

/* Only the kind of its slot, which may be the lie, tells that a record of a
 * batch does not count: a get does not read the whole batch. Nor does it read
 * the LF of a record that the index leads to. */
static bool may_be_served(const struct scene *scene,
                          const struct line_text *key,
                          const struct line_text *value)
{
    return log_model_ever_had(&scene->model, key, value->bytes, value->size) ||
           (scene->is_lied_to &&
            (log_model_has_in_batch(
                 &scene->model, key, value->bytes, value->size) ||
             log_model_has_hidden(
                 &scene->model, key, value->bytes, value->size)));
}

static void check_get(const struct scene *scene,
                      const kvstore *store,
                      const struct line_text *key)
{
    void *bytes = NULL;
    size_t size = 0;
    kvstore_status status =
        kvstore_get(store, key->bytes, key->size, &bytes, &size);
    struct line_text value = {true, bytes, size};
    if (scene->is_lied_to || scene->model.is_ambiguous) {
        fuzz_check(
            status == KVSTORE_NOT_FOUND || is_refusal(status) ||
                (status == KVSTORE_OK && may_be_served(scene, key, &value)),
            "a key is never served with what it never had");
    } else {
        struct log_answer answer =
            log_model_ask(&scene->model, key->bytes, key->size);
        check_true_answer(&answer, status, &value);
    }
    kvstore_free(bytes);
}

/* --- Lists --- */

struct listing {
    const struct log_model *model;
    size_t count;
    struct line_text last;      /* Owned. */
    bool is_listed[LISTED_MAX]; /* By the key's first line. */
};

static size_t first_line_of(const struct log_model *model,
                            const void *key,
                            size_t size)
{
    size_t i = 0;
    while (i < model->count && !(model->lines[i].verdict.key.is_there &&
                                 fuzz_equal(model->lines[i].verdict.key.bytes,
                                            model->lines[i].verdict.key.size,
                                            key,
                                            size))) {
        i++;
    }
    return i;
}

static bool take_key(void *context, const void *key, size_t size)
{
    struct listing *listing = context;
    size_t least = size < listing->last.size ? size : listing->last.size;
    int order = least == 0 ? 0 : memcmp(listing->last.bytes, key, least);
    fuzz_check(!listing->last.is_there || order < 0 ||
                   (order == 0 && listing->last.size < size),
               "keys are listed in order, each once");
    size_t line = first_line_of(listing->model, key, size);
    fuzz_check(line < listing->model->count,
               "a key that is listed is in the log");
    if (line < LISTED_MAX) {
        listing->is_listed[line] = true;
    }
    free(listing->last.bytes);
    listing->last = (struct line_text){true, fuzz_copy(key, size), size};
    listing->count++;
    return true;
}

static void check_listed(const struct listing *listing, size_t number)
{
    const struct line_text *key = &listing->model->lines[number].verdict.key;
    if (!log_model_is_key(key) ||
        first_line_of(listing->model, key->bytes, key->size) != number) {
        return;
    }
    struct log_answer answer =
        log_model_ask(listing->model, key->bytes, key->size);
    bool is_listed = listing->is_listed[number];
    fuzz_check(is_listed || (!answer.has_value && !answer.is_refused),
               "what is there is listed");
    fuzz_check(!is_listed || answer.has_value || answer.may_be_refused,
               "what is not there is not listed");
}

static void check_list(const struct scene *scene, const kvstore *store)
{
    struct listing listing = {.model = &scene->model};
    kvstore_status status = kvstore_list(store, NULL, 0, take_key, &listing);
    if (!scene->is_lied_to && !scene->model.is_ambiguous) {
        fuzz_check(status == KVSTORE_OK, "a store can be listed");
        for (size_t i = 0; i < scene->model.count && i < LISTED_MAX; i++) {
            check_listed(&listing, i);
        }
    }
    free(listing.last.bytes);
}

/* --- Counts --- */

struct verification {
    uint64_t lines;
    uint64_t newer;
    uint64_t others;
};

static bool count_damage(void *context, const kvstore_damage *damage)
{
    struct verification *verification = context;
    bool is_of_index = damage->kind == KVSTORE_DAMAGE_INDEX ||
                       damage->kind == KVSTORE_DAMAGE_COUNTS;
    bool is_newer = damage->kind == KVSTORE_DAMAGE_NEWER;
    verification->lines += is_of_index || is_newer ? 0 : 1;
    verification->newer += is_newer ? 1 : 0;
    verification->others += is_of_index ? 1 : 0;
    return true;
}

static bool has_settled_damage(const struct log_model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        const struct log_line *line = &model->lines[i];
        if (line->is_settled && !line->is_applied &&
            line->verdict.kind != LINE_BLANK &&
            line->verdict.kind != LINE_UNKNOWN) {
            return true;
        }
    }
    return false;
}

static void check_counts(const struct scene *scene, const kvstore *store)
{
    kvstore_stats stats;
    struct verification found = {0, 0, 0};
    kvstore_status status = kvstore_get_stats(store, &stats);
    kvstore_status verdict = kvstore_verify(store, count_damage, &found);
    if (scene->is_lied_to) {
        return;
    }
    const struct log_model *model = &scene->model;
    fuzz_check(status == KVSTORE_OK, "a store tells its counts");
    fuzz_check(verdict == KVSTORE_OK || verdict == KVSTORE_CORRUPT,
               "a store can be verified");
    fuzz_check((verdict == KVSTORE_OK) ==
                   (found.lines + found.newer + found.others == 0),
               "a verification tells what it has found");
    fuzz_check(stats.live_bytes + stats.stale_bytes + stats.blank_bytes +
                       stats.damaged_bytes ==
                   stats.log_bytes,
               "the bytes add up");
    fuzz_check(stats.log_bytes <= model->size + 1, "the log is so long");
    fuzz_check(found.others == 0, "the index is sound");
    fuzz_check(found.lines == stats.damaged_records,
               "as many lines are damaged as are counted");
    fuzz_check(found.newer == stats.unknown_records,
               "as many records are of newer versions as are counted");
    fuzz_check(model->is_ambiguous ||
                   (stats.unknown_records > 0) == model->has_unknown,
               "records of newer versions are counted");
    fuzz_check(stats.damaged_records == 0 || model->has_damage,
               "what is sound is not damaged");
    fuzz_check(stats.damaged_records > 0 || !has_settled_damage(model),
               "damage is counted");
}

/* --- Reading a store --- */

static void check_store(const struct scene *scene, const kvstore *store)
{
    static unsigned char absent[] = "absent";
    const struct line_text nothing = {true, absent, sizeof absent};
    for (size_t i = 0; i < scene->model.count; i++) {
        const struct line_text *key = &scene->model.lines[i].verdict.key;
        if (log_model_is_key(key) &&
            first_line_of(&scene->model, key->bytes, key->size) == i) {
            check_get(scene, store, key);
        }
    }
    check_get(scene, store, &nothing);
    check_list(scene, store);
    check_counts(scene, store);
}

/* Returns whether a call has failed: then one of the library's may. */
static bool stop_failing(struct scene *scene)
{
    bool has_failed = store_scene_stop_failing();
    scene->has_failed |= has_failed;
    return has_failed;
}

static void open_store(struct scene *scene)
{
    kvstore_status status =
        store_scene_open(false, scene->input->is_exclusive, &scene->store);
    if (stop_failing(scene) && status != KVSTORE_OK) {
        status =
            store_scene_open(false, scene->input->is_exclusive, &scene->store);
    }
    fuzz_check(status == KVSTORE_OK || scene->is_lied_to,
               "a store with any log can be opened");
}

/* --- Writing --- */

static bool texts_equal(const struct line_text *a, const struct line_text *b)
{
    return fuzz_equal(a->bytes, a->size, b->bytes, b->size);
}

/* After a write, whatever its outcome: what was settled is as it was. */
static void take_written(struct scene *scene,
                         kvstore_status status,
                         const struct line_text *key,
                         const char *value)
{
    struct log_model after;
    read_model(&after);
    fuzz_check(is_prefix_kept(&scene->model, &after),
               "a write leaves all lines where they are");
    if (status == KVSTORE_OK) {
        fuzz_check(after.count > 0, "what was written is in the log");
        const struct log_line *last = &after.lines[after.count - 1];
        fuzz_check(last->is_applied && last->verdict.has_fitting_sum &&
                       last->verdict.kind ==
                           (value == NULL ? LINE_REMOVE : LINE_SET) &&
                       texts_equal(&last->verdict.key, key),
                   "what was written is the log's last line");
        fuzz_check(after.bytes[after.size - 1] == '\n' || value == NULL,
                   "what was written ends in a LF");
    } else if (!scene->is_lied_to && !scene->has_failed) {
        fuzz_check(scene->model.has_unknown || status == KVSTORE_NOT_FOUND,
                   "a store can be written");
    }
    /* What could not be taken back of a line may count or not, until the log is
     * read anew. */
    scene->is_lied_to |=
        status != KVSTORE_OK && scene->has_failed &&
        !fuzz_equal(
            scene->model.bytes, scene->model.size, after.bytes, after.size);
    take_model(scene, &after);
}

static void set(struct scene *scene, const struct line_text *key)
{
    kvstore_status status =
        kvstore_set(scene->store, key->bytes, key->size, "fuzz", 4);
    (void)stop_failing(scene);
    take_written(scene, status, key, "fuzz");
}

static void remove_key(struct scene *scene, const struct line_text *key)
{
    struct log_answer answer =
        log_model_ask(&scene->model, key->bytes, key->size);
    kvstore_status status = kvstore_remove(scene->store, key->bytes, key->size);
    (void)stop_failing(scene);
    if (!scene->is_lied_to && !scene->has_failed &&
        !scene->model.is_ambiguous && !answer.may_be_refused &&
        !scene->model.has_unknown) {
        fuzz_check(status ==
                       (answer.has_value ? KVSTORE_OK : KVSTORE_NOT_FOUND),
                   "what is there is removed, and nothing else");
    }
    take_written(scene, status, key, NULL);
}

/* --- Rewriting --- */

/* Checks, for one key, that a rewritten log says the same. */
static void check_kept(const struct log_model *before,
                       const struct log_model *after,
                       const struct line_text *key,
                       bool is_repair)
{
    struct log_answer old = log_model_ask(before, key->bytes, key->size);
    struct log_answer new = log_model_ask(after, key->bytes, key->size);
    fuzz_check(!old.has_value || new.has_value,
               "a rewritten log has all that was live");
    fuzz_check(old.has_value || !new.has_value,
               "a rewritten log has nothing that was not live");
    fuzz_check(!old.has_value || texts_equal(&old.newest->verdict.value,
                                             &new.newest->verdict.value),
               "a rewritten log has the newest values");
    if (is_repair) {
        return;
    }
    fuzz_check(!old.is_refused || new.may_be_refused,
               "what was damage before a compaction is damage after it");
    fuzz_check(old.may_be_refused || !new.may_be_refused,
               "a compaction makes no damage");
}

static void check_rewritten(const struct log_model *before,
                            const struct log_model *after,
                            bool is_repair)
{
    for (size_t i = 0; i < before->count; i++) {
        if (log_model_is_key(&before->lines[i].verdict.key)) {
            check_kept(before, after, &before->lines[i].verdict.key, is_repair);
        }
    }
    for (size_t i = 0; i < after->count; i++) {
        if (log_model_is_key(&after->lines[i].verdict.key)) {
            check_kept(before, after, &after->lines[i].verdict.key, is_repair);
        }
    }
    fuzz_check(!is_repair || !after->has_damage,
               "nothing is damaged after a repair");
}

static void rewrite(struct scene *scene, bool is_repair)
{
    struct log_model after;
    uint64_t device = 0;
    uint64_t inode = 0;
    uint64_t new_inode = 0;
    store_scene_identity(LOG, &device, &inode);
    kvstore_status status = is_repair ? kvstore_repair(scene->store, NULL, NULL)
                                      : kvstore_compact(scene->store);
    (void)stop_failing(scene);
    store_scene_identity(LOG, &device, &new_inode);
    read_model(&after);
    if (!scene->is_lied_to && !scene->has_failed && !scene->model.has_unknown) {
        fuzz_check(status == KVSTORE_OK, "a log can be rewritten");
    }
    if (inode == new_inode) {
        fuzz_check(is_prefix_kept(&scene->model, &after),
                   "a failed rewriting leaves all lines where they are");
    } else if (!scene->model.is_ambiguous &&
               !(scene->is_lied_to && scene->model.hides_record)) {
        /* An index from when the LF was there leads to the hidden record. */
        check_rewritten(&scene->model, &after, is_repair);
    }
    if (status == KVSTORE_OK && inode != new_inode) {
        scene->is_lied_to = false;
    }
    take_model(scene, &after);
}

/* --- Steps --- */

/* Chooses a key of the log, or one that is likely to be new. */
static struct line_text choose_key(const struct scene *scene, bool is_old)
{
    static unsigned char fresh[] = "new";
    for (size_t i = scene->model.count; i-- > 0 && is_old;) {
        const struct line_text *key = &scene->model.lines[i].verdict.key;
        if (log_model_is_key(key)) {
            return (struct line_text){
                true, fuzz_copy(key->bytes, key->size), key->size};
        }
    }
    return (struct line_text){true, fuzz_copy(fresh, 3), 3};
}

static void look_read_only(struct scene *scene)
{
    kvstore *store = NULL;
    kvstore_status status = store_scene_open(true, false, &store);
    fuzz_check(stop_failing(scene) || status == KVSTORE_OK || scene->is_lied_to,
               "a store can be opened read-only");
    if (store != NULL) {
        check_store(scene, store);
        kvstore_close(store);
    }
}

static void close_store(struct scene *scene)
{
    kvstore_close(scene->store);
    scene->store = NULL;
    struct log_model after;
    read_model(&after);
    take_model(scene, &after);
}

static void reopen(struct scene *scene, bool loses_index)
{
    close_store(scene);
    if (loses_index) {
        store_scene_remove(INDEX);
        scene->is_lied_to = false;
    }
    open_store(scene);
}

/* The first calls of a step are the most different ones. */
static void prepare_failure(struct scene *scene, unsigned step)
{
    static const unsigned calls[] = {1, 2, 3, 4, 6, 9, 14, 20};
    scene->fails_at =
        calls[(step - STEP_COUNT) % (sizeof calls / sizeof *calls)];
}

static void make_step(struct scene *scene, unsigned step)
{
    static const char *const names[STEP_COUNT] = {"set of a new key",
                                                  "set of an old key",
                                                  "remove",
                                                  "compact",
                                                  "repair",
                                                  "reopen",
                                                  "read-only handle",
                                                  "lost index"};
    fuzz_note(names[step]);
    struct line_text key = choose_key(scene, step != STEP_SET_NEW);
    store_scene_fail_at(scene->fails_at,
                        scene->input->lacks_room ? ENOSPC : EIO);
    scene->fails_at = 0;
    switch (step) {
    case STEP_SET_NEW:
    case STEP_SET_OLD:
        set(scene, &key);
        break;
    case STEP_REMOVE:
        remove_key(scene, &key);
        break;
    case STEP_COMPACT:
    case STEP_REPAIR:
        rewrite(scene, step == STEP_REPAIR);
        break;
    case STEP_REOPEN:
    case STEP_LOSE_INDEX:
        reopen(scene, step == STEP_LOSE_INDEX);
        break;
    case STEP_READ_ONLY:
        look_read_only(scene);
        break;
    default:
        break;
    }
    free(key.bytes);
}

/* --- Laying the store out --- */

static void change_index(struct scene *scene)
{
    size_t size = 0;
    uint64_t device = 0;
    uint64_t inode = 0;
    const struct store_input *input = scene->input;
    char *region = store_scene_read(INDEX, &size);
    size_t count = 0;
    uint64_t *offsets =
        store_input_offsets(scene->model.bytes, scene->model.size, &count);
    struct index_target target = {scene->model.size, offsets, count};
    if (region == NULL) {
        fuzz_fail("an index was built");
    }
    for (size_t i = 0; i < input->lie_count; i++) {
        scene->is_lied_to |=
            index_lie_tell(region, size, &input->lies[i], &target);
    }
    store_scene_identity(LOG, &device, &inode);
    if (!input->is_unsealed) {
        index_lie_seal(region, size, device, inode);
    }
    store_scene_overwrite(INDEX, region, size);
    free(offsets);
    free(region);
}

/* Builds the index from the log as the input has it, or its first half. */
static void build_index(struct scene *scene)
{
    const struct store_input *input = scene->input;
    bool is_half = input->is_half && !input->is_kept_open;
    size_t size = is_half ? store_input_half(input) : input->log_size;
    store_scene_write(LOG, input->log, size);
    open_store(scene);
    if (!input->is_kept_open) {
        kvstore_close(scene->store);
        scene->store = NULL;
    }
}

/* No program edits a log, or replaces it, while another has it open. */
static void change_log(struct scene *scene)
{
    const struct store_input *input = scene->input;
    bool has_changed = false;
    size_t size = 0;
    char *log = store_input_change_log(input, &size, &has_changed);
    if (scene->store == NULL && input->has_index && input->is_replaced) {
        store_scene_replace(LOG, log, size);
    } else if (scene->store == NULL) {
        store_scene_write(LOG, log, size);
    }
    scene->is_lied_to = has_changed && input->has_index && scene->store == NULL;
    free(log);
}

static void lay_out(struct scene *scene)
{
    if (scene->input->has_index) {
        build_index(scene);
    }
    change_log(scene);
    read_model(&scene->model);
    if (scene->input->has_index) {
        change_index(scene);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    store_scene_begin();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_input input;
    store_input_read(&input, data, size);
    struct scene scene = {.input = &input};
    store_scene_reset();
    fuzz_note("open");
    lay_out(&scene);
    if (scene.store == NULL) {
        open_store(&scene);
    }
    if (scene.store != NULL) {
        check_store(&scene, scene.store);
    }
    for (size_t i = 0; i < STORE_INPUT_STEPS && scene.store != NULL; i++) {
        if (input.steps[i] >= STEP_COUNT) {
            prepare_failure(&scene, input.steps[i]);
            continue;
        }
        make_step(&scene, input.steps[i]);
        if (scene.store != NULL) {
            check_store(&scene, scene.store);
        }
    }
    fuzz_note("the last open, without the index");
    reopen(&scene, true);
    check_store(&scene, scene.store);
    kvstore_close(scene.store);
    log_model_release(&scene.model);
    return 0;
}
