/* SPDX-License-Identifier: MIT */

/* Checks that an index that lies costs nothing. Bits of it are flipped, slots
 * exchanged, emptied and copied, pages zeroed, offsets, lengths, kinds and
 * counts changed, one at a time; then something is done with the store. A key is
 * never served with what it never had. After a compaction, all of them are what
 * the log said, and the index says so, too. */

#include "fault_table.h"
#include "index/header.h"
#include "index_lies.h"
#include "kvstore.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LOG "store.log"
#define INDEX "store.index"
#define KEYS 24u
#define VERSIONS 3u
#define LONG_SIZE 5000u
#define COMPLAINTS_MAX 40u

/* What is done first under the lie. */
enum first { GET, OVERWRITE, RM, VERIFY, LIST, COMPACT, FIRST_COUNT };
static const char *const first_names[FIRST_COUNT] =
    {"get", "overwrite", "rm", "verify", "list", "compact"};

/* What the store holds: each key's newest version; 0: it is absent. */
struct truth {
    unsigned newest[KEYS];
    bool is_damaged[KEYS]; /* A later line of its, which cannot be served. */
};

static char path[SCRATCH_PATH_SIZE];
static char *log_bytes;
static size_t log_size;
static uint64_t *offsets; /* Of its lines. */
static size_t offset_count;
static struct truth logged;
static kvstore *store;
static unsigned complaints;
static unsigned trials;

/* --- Keys and values --- */

static size_t make_key(unsigned number, char key[16])
{
    return (size_t)snprintf(key, 16, "key-%02u", number);
}

/* Every fifth value is too long for a slot to say so. */
static size_t make_value(unsigned number,
                         unsigned version,
                         char value[LONG_SIZE + 1])
{
    size_t size = number % 5 == 0 ? LONG_SIZE : 20 + version;
    memset(value, 'a' + (int)(number % 26), size);
    value[size] = '\0';
    value[0] = (char)('0' + version);
    return size;
}

/* Returns which version of a key a value is; 0: none. */
static unsigned version_of(unsigned number, const char *value, size_t size)
{
    static char expected[LONG_SIZE + 1];
    for (unsigned version = 1; version <= VERSIONS + 1; version++) {
        if (make_value(number, version, expected) == size &&
            memcmp(value, expected, size) == 0) {
            return version;
        }
    }
    return 0;
}

/* --- The log --- */

static void add_line(const char *line)
{
    size_t size = strlen(line);
    log_bytes = realloc(log_bytes, log_size + size);
    offsets = realloc(offsets, (offset_count + 1) * sizeof *offsets);
    if (log_bytes == NULL || offsets == NULL) {
        scratch_die("no memory");
    }
    offsets[offset_count++] = log_size;
    memcpy(log_bytes + log_size, line, size);
    log_size += size;
}

static void add_set(unsigned number, unsigned version)
{
    static char value[LONG_SIZE + 1];
    static char line[LONG_SIZE + 128];
    char key[16];
    /* Some expire in a time that never comes here. */
    const char *expires =
        number % 7 == 3 ? ",\"expires\":9007199254740991" : "";
    (void)make_key(number, key);
    (void)make_value(number, version, value);
    (void)snprintf(line,
                   sizeof line,
                   "{\"Set\":{\"key\":\"%s\",\"val\":\"%s\"%s}}\n",
                   key,
                   value,
                   expires);
    add_line(line);
    logged.newest[number] = version;
}

static void add_remove(unsigned number)
{
    char line[64];
    (void)snprintf(
        line, sizeof line, "{\"Remove\":{\"key\":\"key-%02u\"}}\n", number);
    add_line(line);
    logged.newest[number] = 0;
}

static void add_damage(unsigned number)
{
    char line[96];
    (void)snprintf(line,
                   sizeof line,
                   "{\"Set\":{\"key\":\"key-%02u\",\"val\":\"?\","
                   "\"sum\":\"00000000\"}}\n",
                   number);
    add_line(line);
    logged.is_damaged[number] = true;
}

static void add_version(unsigned version)
{
    for (unsigned i = 0; i < KEYS; i++) {
        if (i % VERSIONS + 1 >= version) {
            add_set(i, version);
        }
    }
}

/* Some keys have one record, some have more, some end in a Remove. */
static void lay_log(bool has_damage)
{
    free(log_bytes);
    free(offsets);
    log_bytes = NULL;
    offsets = NULL;
    log_size = 0;
    offset_count = 0;
    logged = (struct truth){.is_damaged = {false}};
    for (unsigned version = 1; version <= VERSIONS; version++) {
        add_version(version);
        if (version == 1 && has_damage) {
            add_damage(1);
            add_damage(6);
            add_line("what is this\n");
        }
    }
    for (unsigned i = 2; i < KEYS; i += 8) {
        add_remove(i);
    }
    add_set(KEYS - 1, VERSIONS);
}

/* --- Complaints --- */

struct trial {
    const struct index_lie *lie;
    enum first first;
    struct truth truth;
    bool is_true; /* The index is, by now. */
};

static void complain(const struct trial *trial,
                     const char *what,
                     unsigned number,
                     int status)
{
    if (complaints++ >= COMPLAINTS_MAX) {
        return;
    }
    (void)fprintf(stderr,
                  "lie %u, %u, %u, %u, then %s%s: key-%02u: %s (%d: %s)\n",
                  trial->lie->kind,
                  trial->lie->part,
                  trial->lie->place,
                  (unsigned)trial->lie->value,
                  first_names[trial->first],
                  trial->is_true ? ", and a compaction" : "",
                  number,
                  what,
                  status,
                  kvstore_last_error()->message);
}

/* --- What is done --- */

static bool is_refusal(kvstore_status status)
{
    return status != KVSTORE_OK && status != KVSTORE_NOT_FOUND &&
           status != KVSTORE_INVALID && status != KVSTORE_INVALID_KEY;
}

/* The answer must be the newest version once the index is true; before, what
 * the key once had, or none. */
static void get(const struct trial *trial, unsigned number)
{
    char key[16];
    void *value = NULL;
    size_t size = 0;
    size_t key_size = make_key(number, key);
    kvstore_status status = kvstore_get(store, key, key_size, &value, &size);
    unsigned newest = trial->truth.newest[number];
    unsigned version =
        status == KVSTORE_OK ? version_of(number, value, size) : 0;
    bool has_newest = status == KVSTORE_OK          ? version == newest
                      : status == KVSTORE_NOT_FOUND ? newest == 0
                                                    : false;
    if (trial->truth.is_damaged[number] && newest <= 1 && newest != 0) {
        has_newest = status == KVSTORE_CORRUPT;
    }
    if (status == KVSTORE_OK && version == 0) {
        complain(
            trial, "was served with what it never had", number, (int)status);
    } else if (trial->is_true && !has_newest) {
        complain(trial, "is not what the log said", number, (int)status);
    } else if (!has_newest && status != KVSTORE_OK &&
               status != KVSTORE_NOT_FOUND && !is_refusal(status)) {
        complain(trial, "an odd answer", number, (int)status);
    }
    kvstore_free(value);
}

static void get_all(const struct trial *trial)
{
    for (unsigned i = 0; i < KEYS; i++) {
        get(trial, i);
    }
}

static void overwrite(struct trial *trial, unsigned number)
{
    static char value[LONG_SIZE + 1];
    char key[16];
    size_t key_size = make_key(number, key);
    size_t size = make_value(number, VERSIONS + 1, value);
    kvstore_status status = kvstore_set(store, key, key_size, value, size);
    if (status == KVSTORE_OK) {
        trial->truth.newest[number] = VERSIONS + 1;
    } else if (trial->is_true || !is_refusal(status)) {
        complain(trial, "cannot be set", number, (int)status);
    }
}

static void rm(struct trial *trial, unsigned number)
{
    char key[16];
    size_t key_size = make_key(number, key);
    kvstore_status status = kvstore_remove(store, key, key_size);
    if (status == KVSTORE_OK) {
        trial->truth.newest[number] = 0;
    } else if (status != KVSTORE_NOT_FOUND && !is_refusal(status)) {
        complain(trial, "cannot be removed", number, (int)status);
    }
}

struct listing {
    bool is_listed[KEYS];
    unsigned others;
};

static bool note_key(void *context, const void *key, size_t size)
{
    struct listing *listing = context;
    char text[16] = "";
    memcpy(text, key, size < sizeof text ? size : 0);
    unsigned long number =
        strncmp(text, "key-", 4) == 0 ? strtoul(text + 4, NULL, 10) : KEYS;
    if (number < KEYS) {
        listing->is_listed[number] = true;
    } else {
        listing->others++;
    }
    return true;
}

/* A list is made of the log. */
static void list(const struct trial *trial)
{
    struct listing listing = {.others = 0};
    kvstore_status status = kvstore_list(store, NULL, 0, note_key, &listing);
    if (status != KVSTORE_OK) {
        if (trial->is_true) {
            complain(trial, "cannot be listed", 0, (int)status);
        }
        return;
    }
    for (unsigned i = 0; i < KEYS && trial->is_true; i++) {
        bool may_be_listed = trial->truth.newest[i] != 0;
        if (listing.is_listed[i] != may_be_listed &&
            !trial->truth.is_damaged[i]) {
            complain(trial, "is listed, or is not, wrongly", i, (int)status);
        }
    }
    if (listing.others > 0) {
        complain(trial, "what is not there is listed", 0, (int)status);
    }
}

static bool note_kind(void *context, const kvstore_damage *damage)
{
    int *kinds = context;
    *kinds |= 1 << damage->kind;
    return true;
}

static void verify(const struct trial *trial)
{
    int kinds = 0;
    kvstore_status status = kvstore_verify(store, note_kind, &kinds);
    int of_index = 1 << KVSTORE_DAMAGE_INDEX | 1 << KVSTORE_DAMAGE_COUNTS;
    if (trial->is_true && (kinds & of_index) != 0) {
        complain(trial, "the new index is found to lie", 0, (int)status);
    }
    if (trial->is_true && status != KVSTORE_OK && status != KVSTORE_CORRUPT) {
        complain(trial, "cannot be verified", 0, (int)status);
    }
}

static void compact(struct trial *trial)
{
    kvstore_status status = kvstore_compact(store);
    if (status != KVSTORE_OK) {
        complain(trial, "cannot be compacted", 0, (int)status);
    }
    trial->is_true = status == KVSTORE_OK;
}

static void do_first(struct trial *trial)
{
    unsigned number = (trial->lie->place + trial->lie->part) % KEYS;
    switch (trial->first) {
    case GET:
        get(trial, number);
        break;
    case OVERWRITE:
        overwrite(trial, number);
        break;
    case RM:
        rm(trial, number);
        break;
    case VERIFY:
        verify(trial);
        break;
    case LIST:
        list(trial);
        break;
    default:
        compact(trial);
        break;
    }
}

/* --- Trials --- */

static void open_store(void)
{
    kvstore_options options = KVSTORE_OPTIONS_INIT;
    options.sync = KVSTORE_SYNC_NONE;
    options.compaction = KVSTORE_COMPACT_MANUAL;
    if (kvstore_open(path, &options, &store) != KVSTORE_OK) {
        scratch_die(kvstore_last_error()->message);
    }
}

static void close_store(void)
{
    kvstore_close(store);
    store = NULL;
}

/* Builds an index of the log, and puts a lie in it. */
static void lay_out(const struct index_lie *lie)
{
    const struct index_target target = {log_size, offsets, offset_count};
    size_t size = 0;
    scratch_empty(path);
    scratch_write(path, LOG, log_bytes, log_size);
    open_store();
    close_store();
    char *region = scratch_read(path, INDEX, &size);
    assert_true(region != NULL && index_lie_tell(region, size, lie, &target));
    scratch_write(path, INDEX, region, size);
    free(region);
}

static void lose_index(void)
{
    char name[SCRATCH_PATH_SIZE + 16];
    (void)snprintf(name, sizeof name, "%s/%s", path, INDEX);
    (void)unlink(name);
}

static void check_all(const struct trial *trial)
{
    get_all(trial);
    list(trial);
    verify(trial);
}

static void try_lie(const struct index_lie *lie, enum first first)
{
    struct trial trial = {.lie = lie, .first = first, .truth = logged};
    trials++;
    lay_out(lie);
    open_store();
    do_first(&trial);
    check_all(&trial);
    trial.is_true = false;
    compact(&trial);
    check_all(&trial);
    overwrite(&trial, 3);
    close_store();
    lose_index();
    open_store();
    check_all(&trial);
    close_store();
}

/* Every lie meets two of the firsts, and another lie of its sort others. */
static void tell(unsigned kind, unsigned part, unsigned place, uint32_t value)
{
    static unsigned turn;
    const struct index_lie lie = {.kind = (uint8_t)kind,
                                  .part = (uint8_t)part,
                                  .place = (uint16_t)place,
                                  .value = value};
    try_lie(&lie, turn % FIRST_COUNT);
    try_lie(&lie, (turn + FIRST_COUNT / 2) % FIRST_COUNT);
    turn++;
}

/* Both with damage in the log and without. */
static void try_both(void (*tell_lies)(void))
{
    complaints = 0;
    trials = 0;
    for (int i = 0; i < 2; i++) {
        lay_log(i == 1);
        tell_lies();
    }
    (void)printf("%u trials\n", trials);
    assert_true(trials > 100);
    assert_int_equal(complaints, 0);
}

/* --- The lies, by the kinds that index_lies.c has --- */

static void flip_bits(void)
{
    for (unsigned bit = 0; bit < 128; bit++) {
        for (unsigned place = 0; place < 3; place++) {
            tell(0, bit, place + bit, 0);
        }
    }
}

static void exchange_slot(unsigned part, unsigned place)
{
    for (unsigned other = place + 1; other < 12; other += 2) {
        tell(1, part, place, other);
    }
}

static void exchange_slots(void)
{
    for (unsigned part = 0; part < 4; part++) {
        for (unsigned place = 0; place < 8; place++) {
            exchange_slot(part, place);
        }
    }
}

static void empty_slots(void)
{
    static const unsigned parts[] = {0, 1, 6, 7};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (unsigned place = 0; place < KEYS; place++) {
            tell(2, parts[i], place, 0);
        }
    }
}

static void change_offsets(void)
{
    for (unsigned place = 0; place < 6; place++) {
        for (uint32_t line = 0; line < offset_count; line += 3) {
            tell(3, 3, place, line + place);
        }
        for (unsigned part = 0; part < 7; part++) {
            tell(3, part, place, 37 + part);
        }
    }
}

static void change_kinds_and_lengths(void)
{
    static const uint32_t lengths[] = {0, 1, 51, 52, 53, 54, 4094, 4095};
    for (unsigned place = 0; place < 12; place++) {
        for (uint32_t kind = 0; kind < 4; kind++) {
            tell(4, 2, place, kind);
        }
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            tell(4, 3, place, lengths[i]);
        }
    }
}

static void copy_slots(void)
{
    for (unsigned place = 0; place < 8; place++) {
        for (uint32_t to = 0; to < 12; to++) {
            tell(5, 0, place, to);
        }
    }
}

static void change_header(void)
{
    static const uint32_t values[] = {0, 1, 2, 7};
    for (unsigned word = 0; word < 16; word++) {
        for (unsigned part = 0; part < 8; part++) {
            tell(6, part, word, values[(word + part) % 4]);
            tell(6, part, word, values[(word + part + 1) % 4]);
        }
    }
}

static void change_totals(void)
{
    static const uint32_t values[] = {0, 1, 2, 60};
    for (unsigned word = 0; word < KV_TABLE_TOTALS_WORDS; word++) {
        for (unsigned part = 0; part < 7; part++) {
            tell(7, part, word, values[(word + part) % 4]);
            tell(7, part, word, values[(word + part + 1) % 4]);
        }
    }
}

/* --- The tests --- */

static void flipped_bit_costs_nothing(void **state)
{
    (void)state;
    try_both(flip_bits);
}

static void exchanged_slots_cost_nothing(void **state)
{
    (void)state;
    try_both(exchange_slots);
}

static void zeroed_slots_buckets_and_pages_cost_nothing(void **state)
{
    (void)state;
    try_both(empty_slots);
}

static void wrong_offset_costs_nothing(void **state)
{
    (void)state;
    try_both(change_offsets);
}

static void wrong_kind_or_length_costs_nothing(void **state)
{
    (void)state;
    try_both(change_kinds_and_lengths);
}

static void copied_slot_costs_nothing(void **state)
{
    (void)state;
    try_both(copy_slots);
}

static void wrong_header_costs_nothing(void **state)
{
    (void)state;
    try_both(change_header);
}

static void wrong_totals_cost_nothing(void **state)
{
    (void)state;
    try_both(change_totals);
}

/* Puts slots of keys that are nowhere in all empty ones, or in all. */
static void fill_table(bool spares_keys)
{
    size_t size = 0;
    char *region = scratch_read(path, INDEX, &size);
    uint64_t *words = (uint64_t *)(void *)(region + KV_TABLE_HEADER_SIZE);
    for (size_t i = 0; i < (size - KV_TABLE_HEADER_SIZE) / 16; i++) {
        if (words[2 * i] == 0 || !spares_keys) {
            words[2 * i] = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
            words[2 * i + 1] = i;
        }
    }
    scratch_write(path, INDEX, region, size);
    free(region);
}

static void table_without_an_empty_slot_costs_nothing(void **state)
{
    (void)state;
    static const struct index_lie none = {.kind = 8, .part = 3};
    lay_log(false);
    complaints = 0;
    for (unsigned i = 0; i < 2 * FIRST_COUNT; i++) {
        struct trial trial = {.lie = &none, .first = i / 2, .truth = logged};
        lay_out(&none);
        fill_table(i % 2 == 0);
        open_store();
        do_first(&trial);
        check_all(&trial);
        trial.is_true = false;
        compact(&trial);
        check_all(&trial);
        close_store();
    }
    assert_int_equal(complaints, 0);
}

/* --- The checks must be able to fail --- */

static void empty_table(void)
{
    size_t size = 0;
    char *region = scratch_read(path, INDEX, &size);
    memset(region + KV_TABLE_HEADER_SIZE, 0, size - KV_TABLE_HEADER_SIZE);
    scratch_write(path, INDEX, region, size);
    free(region);
}

static void keys_that_were_lost_are_found_out(void **state)
{
    (void)state;
    static const struct index_lie none = {.kind = 8, .part = 3};
    struct trial trial = {.lie = &none, .first = GET, .is_true = true};
    complaints = COMPLAINTS_MAX;
    lay_log(false);
    trial.truth = logged;
    lay_out(&none);
    empty_table();
    open_store();

    get_all(&trial);

    assert_true(complaints > COMPLAINTS_MAX);
    close_store();
}

/* --- Set-up --- */

static int set_up(void **state)
{
    (void)state;
    scratch_make(path);
    fault_table_uninstall(); /* So nothing waits. */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_store();
    scratch_remove(path);
    free(log_bytes);
    free(offsets);
    log_bytes = NULL;
    offsets = NULL;
    return 0;
}

#define LIES_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIES_TEST(flipped_bit_costs_nothing),
        LIES_TEST(exchanged_slots_cost_nothing),
        LIES_TEST(zeroed_slots_buckets_and_pages_cost_nothing),
        LIES_TEST(wrong_offset_costs_nothing),
        LIES_TEST(wrong_kind_or_length_costs_nothing),
        LIES_TEST(copied_slot_costs_nothing),
        LIES_TEST(wrong_header_costs_nothing),
        LIES_TEST(wrong_totals_cost_nothing),
        LIES_TEST(table_without_an_empty_slot_costs_nothing),
        LIES_TEST(keys_that_were_lost_are_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
