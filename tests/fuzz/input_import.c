/* SPDX-License-Identifier: MIT */

/* The commands import and batch on an input, held to a plain model. */

#include "input_import.h"

#include "cli/command.h"
#include "cli/output.h"
#include "fuzz.h"
#include "store_scene.h"
#include <kvstore.h>

#include <stdlib.h>

/* A key that some change is about, and what is under it. */
struct item {
    const struct cli_change *set; /* NULL: nothing. */
    const struct cli_change *any; /* Has the key. */
    int64_t expires_ms;
};

struct model {
    struct item *items; /* Owned; as many as there are records. */
    size_t count;
    size_t bad_count;
    bool is_batch; /* What a set keeps is what was there before all records. */
    bool has_expiry_alone; /* One without a value, which batch does not take. */
    bool has_condition;
    bool needs_present; /* A condition that an empty store does not meet. */
};

static struct item *find(struct model *model, const struct cli_change *change)
{
    for (size_t i = 0; i < model->count; i++) {
        struct item *item = &model->items[i];
        if (fuzz_equal(item->any->key,
                       item->any->key_size,
                       change->key,
                       change->key_size)) {
            return item;
        }
    }
    model->items[model->count] = (struct item){.any = change};
    return &model->items[model->count++];
}

static void set(const struct model *model,
                struct item *item,
                const struct cli_change *change)
{
    if (change->expires_ms != KVSTORE_EXPIRES_KEEP) {
        item->expires_ms = change->expires_ms;
    } else if (item->set == NULL || model->is_batch) {
        item->expires_ms = KVSTORE_EXPIRES_NEVER;
    }
    item->set = change;
}

static void apply(struct model *model, const struct cli_change *change)
{
    if (change->kind == CLI_CHANGE_REQUIRE) {
        model->has_condition = true;
        model->needs_present =
            model->needs_present || change->condition != KVSTORE_IF_ABSENT;
        return;
    }
    struct item *item = find(model, change);
    if (change->kind == CLI_CHANGE_SET) {
        set(model, item, change);
    } else if (change->kind == CLI_CHANGE_REMOVE) {
        item->set = NULL;
    } else {
        model->has_expiry_alone = true;
        item->expires_ms = change->expires_ms;
    }
}

/* A set where only keys that have nothing are set. */
static void set_if_absent(struct model *model, const struct cli_change *change)
{
    struct item *item = find(model, change);

    if (item->set == NULL) {
        set(model, item, change);
    }
}

static void apply_if_absent(struct model *model,
                            const struct input_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        const struct input_record *record = &records->records[i];
        if (!record->is_bad && record->change.kind == CLI_CHANGE_SET) {
            set_if_absent(model, &record->change);
        }
    }
}

static void make_model(struct model *model,
                       const struct input_records *records,
                       bool is_batch)
{
    *model = (struct model){
        .is_batch = is_batch,
        .items = fuzz_allocate((records->count + 1) * sizeof *model->items)};
    for (size_t i = 0; i < records->count; i++) {
        if (records->records[i].is_bad) {
            model->bad_count++;
        } else {
            apply(model, &records->records[i].change);
        }
    }
}

static void check_item(const kvstore *store, const struct item *item)
{
    const struct cli_change *expected = item->set;
    kvstore_item found = {.key = item->any->key,
                          .key_size = item->any->key_size};

    fuzz_check(kvstore_get_many(store, &found, 1) == KVSTORE_OK,
               "a key can be looked up");
    fuzz_check(found.status ==
                   (expected == NULL ? KVSTORE_NOT_FOUND : KVSTORE_OK),
               "a key is there if its last record has set it");
    if (expected != NULL) {
        fuzz_check(fuzz_equal(found.value,
                              found.value_size,
                              expected->value,
                              expected->value_size),
                   "a key has the value of its last record");
        fuzz_check(found.expires_ms == item->expires_ms,
                   "a key expires when its records say");
    }
    kvstore_free(found.value);
}

static void check_store(const struct model *model)
{
    kvstore *store = NULL;

    fuzz_check(store_scene_open(false, false, &store) == KVSTORE_OK,
               "the store can be opened");
    for (size_t i = 0; i < model->count; i++) {
        check_item(store, &model->items[i]);
    }
    kvstore_close(store);
}

static int run(cli_command_function *command,
               const struct cli_options *options,
               const char *bytes,
               size_t size)
{
    input_serve(bytes, size, size + 1);
    return command(options, 0, NULL);
}

void input_import_check(const struct input_format *format,
                        const struct input_records *records,
                        const char *bytes,
                        size_t size)
{
    struct cli_options options = input_options(format);
    struct model model;

    options.sync = KVSTORE_SYNC_NONE;
    options.data_dir = store_scene_path();
    make_model(&model, records, false);

    fuzz_note("import");
    store_scene_reset();
    int expected =
        model.bad_count > 0 || model.has_condition ? CLI_PARTIAL : CLI_DONE;
    fuzz_check(run(cli_command_import, &options, bytes, size) == expected,
               "import says that something was left out if it was");
    check_store(&model);

    fuzz_note("import --if-absent");
    apply_if_absent(&model, records);
    options.given |= CLI_OPT(IF_ABSENT);
    fuzz_check(run(cli_command_import, &options, bytes, size) == expected,
               "import says the same where keys are there");
    check_store(&model);

    fuzz_note("batch");
    store_scene_reset();
    options.given &= ~CLI_OPT(IF_ABSENT);
    expected = model.bad_count > 0 || model.has_expiry_alone ? CLI_USAGE
               : model.needs_present                         ? CLI_CONFLICT
                                                             : CLI_DONE;
    fuzz_check(run(cli_command_batch, &options, bytes, size) == expected,
               "batch takes an input that is sound and whose conditions hold");
    free(model.items);
    if (expected == CLI_DONE) {
        make_model(&model, records, true);
        check_store(&model);
        free(model.items);
    }
}
