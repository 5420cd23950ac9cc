/* SPDX-License-Identifier: MIT */

/* Does the module record do what its header promises? Lines are written here
 * with single quotes for double ones, and with SUM where their sum goes. */

#include "json_cases.h"
#include "os/bounds.h"
#include "os/file.h"
#include "record/decode.h"
#include "record/json.h"
#include "record/plan.h"
#include "record/record.h"

#include <cjson/cJSON.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LINE_CAPACITY 4096

static void *allocate(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    assert_non_null(memory);
    return memory;
}

/* A line to decode, in memory of exactly its size. */
struct line {
    char *bytes;
    size_t size;
};

static struct line line_of_bytes(const char *bytes, size_t size)
{
    struct line line = {allocate(size), size};
    if (size != 0) {
        memcpy(line.bytes, bytes, size);
    }
    return line;
}

/* Puts the right sum in place of the word SUM. */
static void put_sum(char *text, size_t size)
{
    char *place = strstr(text, ",\"sum\":\"SUM\"");
    if (place == NULL) {
        return;
    }
    const char *start = strchr(text, '{');
    char digits[9];
    XXH64_hash_t hash = XXH3_64bits(start, (size_t)(place + 1 - start));
    (void)snprintf(digits, sizeof digits, "%08x", (unsigned)(uint32_t)hash);
    char *behind = place + strlen(",\"sum\":\"SUM");
    memmove(behind + 5, behind, size - (size_t)(behind - text) + 1);
    memcpy(behind - 3, digits, 8);
}

/* Makes the line that a text with single quotes stands for. */
static struct line line_of(const char *quoted)
{
    char text[LINE_CAPACITY];
    size_t size = strlen(quoted);
    assert_true(size + 16 < sizeof text);
    for (size_t i = 0; i <= size; i++) {
        text[i] = (char)(quoted[i] == '\'' ? '"' : quoted[i]);
    }
    put_sum(text, size);
    return line_of_bytes(text, strlen(text));
}

static struct kv_record decode(const struct line *line)
{
    struct kv_record record;
    assert_int_equal(kv_record_decode(line->bytes, line->size, &record),
                     KVSTORE_OK);
    return record;
}

static bool means(const struct kv_text *text, const char *bytes)
{
    return kv_text_equals(text, bytes, strlen(bytes));
}

static void check_type(const char *quoted,
                       const struct kv_record *record,
                       enum kv_record_type type)
{
    if (record->type != type) {
        fail_msg("type %d of %s", (int)record->type, quoted);
    }
    kvstore_status damage = record->damage;
    assert_int_equal(type == KV_RECORD_DAMAGED, damage != KVSTORE_OK);
    if (type == KV_RECORD_SET || type == KV_RECORD_REMOVE) {
        assert_true(record->has_key);
    }
}

/* A NULL key: the record must have none. */
static void check_key(const char *quoted,
                      const struct kv_record *record,
                      const char *key)
{
    if (record->has_key != (key != NULL) ||
        (key != NULL && !means(&record->key, key))) {
        fail_msg("key of %s", quoted);
    }
}

static void assert_set(const char *quoted, const char *key, const char *value)
{
    struct line line = line_of(quoted);
    struct kv_record record = decode(&line);
    check_type(quoted, &record, KV_RECORD_SET);
    check_key(quoted, &record, key);
    if (!means(&record.value, value)) {
        fail_msg("value of %s", quoted);
    }
    kv_record_release(&record);
    free(line.bytes);
}

static void assert_remove(const char *quoted, const char *key)
{
    struct line line = line_of(quoted);
    struct kv_record record = decode(&line);
    check_type(quoted, &record, KV_RECORD_REMOVE);
    check_key(quoted, &record, key);
    kv_record_release(&record);
    free(line.bytes);
}

static void assert_unknown(const char *quoted, const char *key)
{
    struct line line = line_of(quoted);
    struct kv_record record = decode(&line);
    check_type(quoted, &record, KV_RECORD_UNKNOWN);
    check_key(quoted, &record, key);
    kv_record_release(&record);
    free(line.bytes);
}

static void assert_damaged(const char *quoted,
                           kvstore_status damage,
                           const char *key)
{
    struct line line = line_of(quoted);
    struct kv_record record = decode(&line);
    check_type(quoted, &record, KV_RECORD_DAMAGED);
    check_key(quoted, &record, key);
    if (record.damage != damage) {
        fail_msg("damage %d of %s", (int)record.damage, quoted);
    }
    assert_int_equal(record.batch, 0);
    kv_record_release(&record);
    free(line.bytes);
}

static void assert_bad_json(const char *quoted, const char *key)
{
    assert_damaged(quoted, KVSTORE_BAD_JSON, key);
}

static void assert_corrupt(const char *quoted, const char *key)
{
    assert_damaged(quoted, KVSTORE_CORRUPT, key);
}

static void assert_batch(const char *quoted, uint32_t batch)
{
    struct line line = line_of(quoted);
    struct kv_record record = decode(&line);
    check_type(quoted,
               &record,
               strstr(quoted, "Set") != NULL ? KV_RECORD_SET
                                             : KV_RECORD_REMOVE);
    assert_int_equal(record.batch, batch);
    kv_record_release(&record);
    free(line.bytes);
}

/* Encodes a record, without its newline. */
static struct line encode(const struct kv_record_plan *plan)
{
    struct line line = {allocate(plan->line_size), plan->line_size - 1};
    kv_record_encode(plan, line.bytes);
    assert_int_equal(line.bytes[line.size], '\n');
    return line;
}

static void assert_encoded(const struct kv_record_plan *plan,
                           const char *expected)
{
    struct line line = encode(plan);
    assert_int_equal(line.size, strlen(expected));
    assert_memory_equal(line.bytes, expected, line.size);
    free(line.bytes);
}

static void example_lines_are_written_byte_for_byte(void **state)
{
    (void)state;
    struct kv_record_plan plan = kv_record_plan_set("user", 4, "Alice", 5);
    assert_encoded(
        &plan,
        "{\"Set\":{\"key\":\"user\",\"val\":\"Alice\",\"sum\":\"b2fd84ab\"}}");

    plan = kv_record_plan_remove("user", 4);
    assert_encoded(&plan,
                   "{\"Remove\":{\"key\":\"user\",\"sum\":\"515c8fa6\"}}");

    plan = kv_record_plan_set("\xff\xfe", 2, "x", 1);
    assert_encoded(
        &plan,
        "{\"Set\":{\"key64\":\"//4=\",\"val\":\"x\",\"sum\":\"0fbe0faf\"}}");
}

static void assert_encoded_as(const struct kv_record_plan *plan,
                              const char *quoted)
{
    struct line line = line_of(quoted);
    struct line encoded = encode(plan);
    assert_int_equal(encoded.size, line.size);
    assert_memory_equal(encoded.bytes, line.bytes, line.size);
    free(encoded.bytes);
    free(line.bytes);
}

static void added_members_are_written_in_their_order(void **state)
{
    (void)state;
    struct kv_record_plan plan = kv_record_plan_set("k", 1, "v", 1);
    kv_record_plan_add(&plan, 1796000000000, 0);
    assert_encoded_as(
        &plan,
        "{'Set':{'key':'k','val':'v','expires':1796000000000,'sum':'SUM'}}");
    kv_record_plan_add(&plan, KV_EXPIRES_MS_MAX, UINT32_MAX);
    assert_encoded_as(&plan,
                      "{'Set':{'key':'k','val':'v','expires':9007199254740991,"
                      "'batch':4294967295,'sum':'SUM'}}");
    kv_record_plan_add(&plan, 1, 10);
    assert_encoded_as(
        &plan,
        "{'Set':{'key':'k','val':'v','expires':1,'batch':10,'sum':'SUM'}}");
    kv_record_plan_add(&plan, 0, 0);
    assert_encoded_as(&plan, "{'Set':{'key':'k','val':'v','sum':'SUM'}}");
    plan = kv_record_plan_remove("k", 1);
    kv_record_plan_add(&plan, 0, 99);
    assert_encoded_as(&plan, "{'Remove':{'key':'k','batch':99,'sum':'SUM'}}");
}

static void text_of_many_escapes_is_a_string(void **state)
{
    (void)state;
    struct kv_record_plan plan = kv_record_plan_set("\"\"\"", 3, "\x01\n", 2);
    assert_encoded_as(&plan,
                      "{'Set':{'key':'\\'\\'\\'','val':'\\u0001\\n',"
                      "'sum':'SUM'}}");
}

/* Plans a Set with a value of so many quotation marks, which are not in
 * memory. */
static struct kv_record_plan plan_quotes(size_t count, int64_t expires_ms)
{
    struct kv_record_plan plan = kv_record_plan_set("k", 1, "\"", 1);
    plan.value_size = count;
    plan.value_plan.raw_size = 2 * count;
    kv_record_plan_add(&plan, expires_ms, 0);
    return plan;
}

static void value_is_base64_where_its_line_would_be_too_long(void **state)
{
    (void)state;
    /* Half of what {"Set":{"key":"k","val":"...","sum":"..."}} and the newline
     * leave. */
    size_t beside = kv_record_plan_set("k", 1, "", 0).line_size;
    size_t most = (KV_TEXT_LINE_SIZE_MAX - beside) / 2;

    struct kv_record_plan plan = plan_quotes(most, 0);
    assert_int_equal(plan.value_plan.form, KV_TEXT_ESCAPED);
    assert_int_equal(plan.line_size, beside + 2 * most);
    assert_true(plan.line_size + 2 > KV_TEXT_LINE_SIZE_MAX);
    plan = plan_quotes(most + 1, 0);
    assert_int_equal(plan.value_plan.form, KV_TEXT_BASE64);
    assert_int_equal(plan.value_plan.raw_size, (most + 3) / 3 * 4);
    assert_in_range(plan.line_size, (most + 1) / 3 * 4, KV_LINE_SIZE_MAX);
    plan = plan_quotes(most, 1000);
    assert_int_equal(plan.value_plan.form, KV_TEXT_BASE64);
}

static void example_lines_are_read(void **state)
{
    (void)state;
    assert_set("{'Set':{'key':'user','val':'Alice','sum':'b2fd84ab'}}",
               "user",
               "Alice");
    assert_remove("{'Remove':{'key':'user','sum':'515c8fa6'}}", "user");
    assert_set(
        "{'Set':{'key64':'//4=','val':'x','sum':'0fbe0faf'}}", "\xff\xfe", "x");
}

static void empty_value_is_written_as_text(void **state)
{
    (void)state;
    struct kv_record_plan plan = kv_record_plan_set("k", 1, NULL, 0);
    struct line line = encode(&plan);
    static const char begin[] =
        "{\"Set\":{\"key\":\"k\",\"val\":\"\",\"sum\":\"";
    assert_memory_equal(line.bytes, begin, strlen(begin));
    struct kv_record record = decode(&line);
    assert_int_equal(record.type, KV_RECORD_SET);
    assert_int_equal(record.value.size, 0);
    kv_record_release(&record);
    free(line.bytes);
}

static void blank_lines_are_blank(void **state)
{
    (void)state;
    static const char *const blank[] = {"", " ", "\t", "\r", " \t \r", "    "};
    for (size_t i = 0; i < COUNT(blank); i++) {
        struct line line = line_of(blank[i]);
        struct kv_record record = decode(&line);
        check_type(blank[i], &record, KV_RECORD_BLANK);
        check_key(blank[i], &record, NULL);
        kv_record_release(&record);
        free(line.bytes);
    }
    assert_bad_json("\v", NULL);
    assert_bad_json(" \f ", NULL);
    assert_bad_json("\xc2\xa0", NULL);
}

static void nul_bytes_are_damage(void **state)
{
    (void)state;
    char nuls[4096] = {0};
    for (size_t size = 1; size <= sizeof nuls; size *= 2) {
        struct line line = line_of_bytes(nuls, size);
        struct kv_record record = decode(&line);
        check_type("NULs", &record, KV_RECORD_DAMAGED);
        check_key("NULs", &record, NULL);
        kv_record_release(&record);
        free(line.bytes);
    }
    static const char inside[] = "{\"Set\":{\"key\":\"a\",\"val\":\"b\0\"}}";
    struct line line = line_of_bytes(inside, sizeof inside - 1);
    struct kv_record record = decode(&line);
    check_type(inside, &record, KV_RECORD_DAMAGED);
    check_key(inside, &record, "a");
    kv_record_release(&record);
    free(line.bytes);
}

static void lines_of_the_rust_program_are_read(void **state)
{
    (void)state;
    assert_set("{'Set':{'key':'user','val':'Alice'}}", "user", "Alice");
    assert_set("{'Set':{'key':'user','value':'Alice'}}", "user", "Alice");
    assert_remove("{'Remove':{'key':'user'}}", "user");
    assert_set("{'Set':{'key':'a\\nb','val':'\\u0007\\\"'}}", "a\nb", "\a\"");
    assert_set("{'Set':{'key':'caf\xc3\xa9','val':''}}", "caf\xc3\xa9", "");
}

static void canonical_lines_may_have_a_sum(void **state)
{
    (void)state;
    assert_set("{'Set':{'key':'a','val':'b','sum':'SUM'}}", "a", "b");
    assert_set("{'Set':{'key':'a','value':'b','sum':'SUM'}}", "a", "b");
    assert_set("{'Set':{'key':'a','val64':'/w==','sum':'SUM'}}", "a", "\xff");
    assert_set("{'Set':{'key64':'/w==','val':'','sum':'SUM'}}", "\xff", "");
    assert_set("{'Set':{'key':'a','val':'b','batch':7,'sum':'SUM'}}", "a", "b");
    assert_remove("{'Remove':{'key64':'/w==','sum':'SUM'}}", "\xff");
    assert_remove("{'Remove':{'key':'a','batch':1,'sum':'SUM'}}", "a");
}

static void assert_set_bytes(const char *text,
                             const char *key,
                             size_t key_size,
                             const char *value,
                             size_t value_size)
{
    struct line line = line_of(text);
    struct kv_record record = decode(&line);
    assert_int_equal(record.type, KV_RECORD_SET);
    assert_true(kv_text_equals(&record.key, key, key_size));
    assert_true(kv_text_equals(&record.value, value, value_size));
    kv_record_release(&record);
    free(line.bytes);
}

static void escaped_nul_is_a_byte(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{'Set':{'key':'a\\u0000b','val':'\\u0000'}}",
        "{ 'Set':{'key':'a\\u0000b','val':'\\u0000'}}",
        "{'Set':{'val':'\\u0000','key':'a\\u0000b'}}",
        "{'Set':{'key':'a\\u0000b','val':'\\u0000','\\u0000':1}}",
        "{'Set':{'key':'a\\u0000b','val':'\\u0000','x':['\\u0000\\uFDD0']}}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_set_bytes(lines[i], "a\0b", 3, "\0", 1);
    }
    assert_set_bytes("{ 'Set':{'key':'\\u0000\\u0000a','val':'\\\\u0000'}}",
                     "\0\0a",
                     3,
                     "\\u0000",
                     6);
    assert_bad_json("{'Set':{'key':'a','val':'b','\\u0000':1,'\\u0000':2}}",
                    "a");
    assert_bad_json("{'Set':{'key':'a','val64':'\\u0000'}}", "a");
}

/* The characters that may stand in for NULs meanwhile are bytes like any
 * others. */
static void stand_ins_are_themselves(void **state)
{
    (void)state;
    assert_set_bytes(
        "{ 'Set':{'key':'\xef\xb7\x90','val':'\\uFdD1\\ufdd2\\u0000'}}",
        "\xef\xb7\x90",
        3,
        "\xef\xb7\x91\xef\xb7\x92\0",
        7);
    assert_set_bytes("{ 'Set':{'key':'\\u0000','val64':'77eQ'}}",
                     "\0",
                     1,
                     "\xef\xb7\x90",
                     3);
    assert_bad_json(
        "{ 'Set':{'key':'a','val':'\\u0000\\ufdd0\\ufdd1\\ufdd2\\ufdd3"
        "\\ufdd4\\ufdd5\\ufdd6\\ufdd7\\ufdd8\\ufdd9\\ufdda\\ufddb"
        "\\ufddc\\ufddd\\ufdde\\ufddf'}}",
        NULL);
}

static void foreign_layouts_are_read(void **state)
{
    (void)state;
    assert_set("{ 'Set':{'key':'a','val':'b'}}", "a", "b");
    assert_set(" \t{'Set' : {\r'key' :\t'a' , 'val': 'b' } } \r", "a", "b");
    assert_set("{'Set':{'val':'b','key':'a'}}", "a", "b");
    assert_set("{'Set':{'value':'b','key':'a'}}", "a", "b");
    assert_set("{'Set':{'val64':'/w==','key64':'/g=='}}", "\xfe", "\xff");
    assert_set("{'Set':{'batch':2,'val':'b','key':'a'}}", "a", "b");
    assert_set("{'\\u0053et':{'k\\u0065y':'a','val':'b'}}", "a", "b");
    assert_set("{'Set':{'key64':'\\/\\/4=','val':'b'}}", "\xff\xfe", "b");
    assert_set("{'Set':{'val':'\\ud83d\\ude00','key':'\\/\\b'}}",
               "/\b",
               "\xf0\x9f\x98\x80");
    assert_set("{'Set':{'val':'','key':''}}", "", "");
    assert_set("{'Set':{'key':'','val':''}}", "", "");
    assert_remove("{ 'Remove' : { 'key' : 'a' } }", "a");
    assert_remove("{'Remove':{'x':[1,{}],'key64':'/w=='}}", "\xff");
}

static void unknown_members_are_ignored(void **state)
{
    (void)state;
    assert_set("{'Set':{'key':'a','val':'b','ttl':60}}", "a", "b");
    assert_set("{'Set':{'ttl':null,'key':'a','val':'b'}}", "a", "b");
    assert_set("{'Set':{'key':'a','val':'b','Key':'c','KEY':1}}", "a", "b");
    assert_set("{'v':1,'Set':{'key':'a','val':'b'},'x':{}}", "a", "b");
    assert_set("{'set':{'key':'x'},'Set':{'key':'a','val':'b'}}", "a", "b");
    assert_set("{'x':{'a':1,'a':2},'Set':{'key':'a','val':'b'}}", "a", "b");
    assert_set("{'sum':'x','Set':{'key':'a','val':'b'}}", "a", "b");
    assert_remove("{'Remove':{'key':'a','val':1,'val64':2,'value':3}}", "a");
    assert_remove("{'Remove':{'key':'a','val':'b','value':'c'}}", "a");
}

static void wrong_members_are_damage(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{ 'Set':{}}",
        "{ 'Set':{'val':'b'}}",
        "{ 'Set':{'key':1,'val':'b'}}",
        "{ 'Set':{'key':null,'val':'b'}}",
        "{ 'Set':{'key':['a'],'val':'b'}}",
        "{ 'Set':{'key64':7,'val':'b'}}",
        "{ 'Set':{'key64':'/w=','val':'b'}}",
        "{ 'Set':{'key64':'/x==','val':'b'}}",
        "{ 'Set':{'key64':'/w==\\n','val':'b'}}",
        "{ 'Set':{'key':'a','key64':'YQ==','val':'b'}}",
        "{ 'Set':{'Key':'a','Val':'b'}}",
        "{ 'Remove':{}}",
        "{ 'Remove':{'key':false}}",
        "{ 'Remove':{'key':'a','key64':'YQ=='}}",
        "{ 'Set':1}",
        "{ 'Set':null}",
        "{ 'Set':'a'}",
        "{ 'Set':[{'key':'a','val':'b'}]}",
        "{ 'Remove':true}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_bad_json(wrong[i], NULL);
    }
}

static void wrong_value_is_damage_that_tells_its_key(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{'Set':{'key':'a'}}",
        "{ 'Set':{'key':'a'}}",
        "{ 'Set':{'val':1,'key':'a'}}",
        "{ 'Set':{'key':'a','val':null}}",
        "{ 'Set':{'key':'a','value':{}}}",
        "{ 'Set':{'key':'a','val64':'YQ'}}",
        "{ 'Set':{'key':'a','val64':'YR=='}}",
        "{ 'Set':{'key':'a','val':'b','val64':'YQ=='}}",
        "{ 'Set':{'key':'a','val':'b','value':'b'}}",
        "{ 'Set':{'key':'a','value':'b','val64':'YQ=='}}",
        "{ 'Set':{'key':'a','val':'b','value':'b','val64':'YQ=='}}",
        "{'Set':{'key64':'YQ==','val64':'YQ='}}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_bad_json(wrong[i], "a");
    }
}

static void duplicate_members_are_damage(void **state)
{
    (void)state;
    assert_bad_json("{ 'Set':{'key':'a','key':'a','val':'b'}}", NULL);
    assert_bad_json("{ 'Set':{'key':'a','val':'b','val':'b'}}", NULL);
    assert_bad_json("{ 'Set':{'key':'a','val':'b','x':1,'x':1}}", NULL);
    assert_bad_json("{ 'Set':{'key':'a','val':'b','\\u006bey':'c'}}", NULL);
    assert_bad_json("{ 'Set':{'key':'a','val':'b','':1,'y':2,'':3}}", NULL);
    assert_bad_json("{ 'Remove':{'key':'a','val':'b','val':'b'}}", NULL);
    assert_bad_json(
        "{ 'Set':{'key':'a','val':'b'},'Set':{'key':'a','val':'b'}}", NULL);
    assert_bad_json("{'x':1,'Set':{'key':'a','val':'b'},'x':2}", NULL);
    assert_bad_json("{ 'Set':{'key':'a','val':'b'},'Remove':{'key':'a'}}",
                    NULL);
    assert_bad_json("{'Incr':{'x':1,'x':2}}", NULL);
    assert_bad_json("{'Incr':{},'Incr':{}}", NULL);
    /* The beginning gives the key. */
    assert_bad_json("{'Set':{'key':'a','key':'a','val':'b'}}", "a");
    assert_bad_json("{'Set':{'key':'a','key64':'Yg==','val':'b'}}", "a");
    assert_bad_json("{'Set':{'key':'a','val':'b'},'Remove':{'key':'c'}}", "a");
}

/* Makes a Set with so many members, some of them in an object of its own. */
static struct line line_of_members(size_t count, size_t inner_count)
{
    char *text = allocate(count * 16 + 96);
    size_t size = (size_t)sprintf(text, "{\"x\":{\"m\":0");
    for (size_t i = 1; i < inner_count; i++) {
        size += (size_t)sprintf(text + size, ",\"m%zu\":0", i);
    }
    size += (size_t)sprintf(text + size, "},\"Set\":{\"key\":\"a\"");
    for (size_t i = inner_count + 4; i < count; i++) {
        size += (size_t)sprintf(text + size, ",\"m%zu\":0", i);
    }
    size += (size_t)sprintf(text + size, ",\"val\":\"b\"}}");
    struct line line = line_of_bytes(text, size);
    free(text);
    return line;
}

static void members_are_bounded_at_two_levels_together(void **state)
{
    (void)state;
    static const size_t inner_counts[] = {1, 30000, KV_JSON_MEMBERS_MAX - 4};
    for (size_t i = 0; i < 2 * COUNT(inner_counts); i++) {
        size_t excess = i % 2;
        struct line line =
            line_of_members(KV_JSON_MEMBERS_MAX + excess, inner_counts[i / 2]);
        struct kv_record record = decode(&line);
        check_type("many members",
                   &record,
                   excess == 0 ? KV_RECORD_SET : KV_RECORD_DAMAGED);
        if (excess == 0) {
            assert_true(means(&record.value, "b"));
        }
        kv_record_release(&record);
        free(line.bytes);
    }
}

static void batch_counts_from_1_to_4294967295(void **state)
{
    (void)state;
    assert_batch("{'Set':{'key':'a','val':'b'}}", 0);
    assert_batch("{'Set':{'key':'a','val':'b','batch':1}}", 1);
    assert_batch("{'Set':{'key':'a','val':'b','batch':4294967295}}",
                 UINT32_MAX);
    assert_batch("{'Remove':{'key':'a','batch':30,'sum':'SUM'}}", 30);
    assert_batch("{'Set':{'key':'a','batch':3,'val':'b'}}", 3);
    assert_batch("{'Set':{'batch':4294967295,'key':'a','val':'b'}}",
                 UINT32_MAX);
    assert_batch("{ 'Set':{'key':'a','val':'b','batch':3.0e0}}", 3);
    assert_batch("{ 'Remove':{'key':'a','batch':1e3}}", 1000);
    static const char *const wrong[] = {
        "0",
        "-1",
        "1.5",
        "4294967296",
        "0.1",
        "-0",
        "1e10",
        "1e400",
        "18446744073709551617",
        "'3'",
        "null",
        "true",
        "[3]",
        "{}",
        "3.00000000000000000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char text[256];
        (void)snprintf(text,
                       sizeof text,
                       "{'Set':{'key':'a','val':'b','batch':%s}}",
                       wrong[i]);
        assert_bad_json(text, "a");
        (void)snprintf(
            text, sizeof text, "{ 'Remove':{'batch':%s,'key':'a'}}", wrong[i]);
        assert_bad_json(text, "a");
    }
    assert_bad_json("{'Set':{'key':'a','val':'b','batch':03}}", "a");
    assert_bad_json("{'Set':{'key':'a','val':'b','batch':}}", "a");
    assert_bad_json("{'Set':{'key':'a','val':'b','batch':+3}}", "a");
    assert_bad_json("{'Set':{'key':'a','val':'b','batch':3 3}}", "a");
}

static void assert_expires(const char *quoted, int64_t expires_ms)
{
    struct line line = line_of(quoted);
    struct kv_record record = decode(&line);
    check_type(quoted, &record, KV_RECORD_SET);
    check_key(quoted, &record, "a");
    assert_int_equal(record.expires_ms, expires_ms);
    kv_record_release(&record);
    free(line.bytes);
}

static void set_expires_from_1_to_9007199254740991(void **state)
{
    (void)state;
    assert_expires("{'Set':{'key':'a','val':'b'}}", 0);
    assert_expires("{'Set':{'key':'a','val':'b','expires':1}}", 1);
    assert_expires("{'Set':{'key':'a','val':'b','expires':9007199254740991}}",
                   KV_EXPIRES_MS_MAX);
    assert_expires("{'Set':{'key':'a','val':'b','expires':1796000000000,"
                   "'batch':2,'sum':'SUM'}}",
                   1796000000000);
    assert_expires("{'Set':{'expires':9007199254740991,'val':'b','key':'a'}}",
                   KV_EXPIRES_MS_MAX);
    assert_expires("{'Set':{'key':'a','val':'b','batch':1,'expires':7}}", 7);
    assert_expires("{ 'Set':{'key':'a','val':'b','expires':1e3}}", 1000);
    assert_expires("{'Set':{'key':'a','val':'b','Expires':'x'}}", 0);
    assert_expires("{'expires':'x','Set':{'key':'a','val':'b'}}", 0);
    assert_batch("{'Set':{'key':'a','val':'b','expires':7,'batch':3}}", 3);
}

static void other_expiry_is_damage_that_tells_its_key(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "0",
        "-1",
        "1.5",
        "0.1",
        "-0",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551617",
        "1e16",
        "1e400",
        "9007199254740991.4",
        "0.9999999999999999999",
        "1.00000000000000000001",
        "1796000000000.0000",
        "'1796000000000'",
        "null",
        "true",
        "[1]",
        "{}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char text[256];
        (void)snprintf(text,
                       sizeof text,
                       "{'Set':{'key':'a','val':'b','expires':%s}}",
                       wrong[i]);
        assert_bad_json(text, "a");
        (void)snprintf(text,
                       sizeof text,
                       "{ 'Set':{'expires':%s,'val':'b','key':'a'}}",
                       wrong[i]);
        assert_bad_json(text, "a");
        /* A Remove ignores it. */
        (void)snprintf(text,
                       sizeof text,
                       "{'Remove':{'key':'a','expires':%s,'sum':'SUM'}}",
                       wrong[i]);
        assert_remove(text, "a");
    }
    assert_bad_json("{'Set':{'key':'a','val':'b','expires':07}}", "a");
    assert_bad_json("{'Set':{'key':'a','val':'b','expires':}}", "a");
    assert_bad_json("{'Set':{'key':'a','val':'b','expires':1,'expires':1}}",
                    "a");
    assert_remove("{'Remove':{'key':'a','expires':5}}", "a");
}

static void sum_that_does_not_fit_is_corrupt(void **state)
{
    (void)state;
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'b2fd84ac'}}",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alicf','sum':'b2fd84ab'}}",
                   "user");
    assert_corrupt("{'Remove':{'key':'user','sum':'00000000'}}", "user");
    assert_corrupt("{ 'Set':{'key':'user','val':'Alice','sum':'b2fd84ab'}}",
                   "user");
    assert_corrupt("{'Set':{'val':'Alice','key':'u','sum':'b2fd84ab'}}", "u");
}

static void sum_of_another_form_is_corrupt(void **state)
{
    (void)state;
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'B2FD84AB'}}",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'b2fd84ab '}}",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'b2fd84a'}}",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':''}}", "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':null}}", "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':2998764715}}",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum': 'b2fd84ab'}}",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice' ,'sum':'SUM'} }",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'SUM'}} ", "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'SUM'}}\t",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'SUM'}}\r\r",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'SUM'}} \r",
                   "user");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'SUM'}\r}",
                   "user");
    assert_corrupt(
        "{'Set':{'key':'user','val':'Alice','\\u0073um':'b2fd84ab'}}", "user");
}

static void sum_is_verified_before_one_carriage_return(void **state)
{
    (void)state;
    assert_set("{'Set':{'key':'user','val':'Alice','sum':'b2fd84ab'}}\r",
               "user",
               "Alice");
    assert_set("{'Set':{'key':'a','val':'b','expires':7,'batch':1,"
               "'sum':'SUM'}}\r",
               "a",
               "b");
    assert_remove("{'Remove':{'key':'user','sum':'515c8fa6'}}\r", "user");
    assert_set("{'Set':{'key':'a','val':'b'}}\r", "a", "b");
    assert_set("{ 'Set':{'val':'b','key':'a','sum':'SUM'}}\r", "a", "b");
    assert_unknown("{'Incr':{'key':'a','sum':'SUM'}}\r", "a");
    assert_corrupt("{'Set':{'key':'user','val':'Alice','sum':'b2fd84ac'}}\r",
                   "user");
    assert_corrupt("{ 'Set':{'val':'b','key':'a','sum':'00000000'}}\r", "a");
}

static void sum_in_another_place_is_corrupt(void **state)
{
    (void)state;
    assert_corrupt("{'Set':{'key':'a','sum':'SUM','val':'b'}}", "a");
    assert_corrupt("{'Set':{'sum':'00000000','key':'a','val':'b'}}", "a");
    assert_corrupt("{'Set':{'key':'a','val':'b','sum':'SUM','x':1}}", "a");
    assert_corrupt("{'Set':{'key':'a','val':'b','sum':'SUM'},'x':1}", "a");
    /* The line ends in a sum that matches, but another object's. */
    assert_corrupt("{'Set':{'key':'a','val':'b','sum':'00000000'},"
                   "'x':{'y':1,'sum':'SUM'}}",
                   "a");
    assert_corrupt("{'Set':{'sum':1,'key':'a','val':'b','x':{'y':1,"
                   "'sum':'00000000'}}}",
                   "a");
}

static void sum_elsewhere_is_an_unknown_member(void **state)
{
    (void)state;
    assert_set("{'Set':{'key':'a','val':'b'},'sum':'00000000'}", "a", "b");
    assert_set(
        "{'Set':{'key':'a','val':'b'},'x':{'y':1,'sum':'00000000'}}", "a", "b");
    assert_set("{'Set':{'key':'a','val':'b','x':{'sum':1}}}", "a", "b");
    assert_set("{'Set':{'key':'a','val':',\\'sum\\':\\'00000000'}}",
               "a",
               ",\"sum\":\"00000000");
    assert_set("{'Set':{'key':'a','val':'b','Sum':'00000000'}}", "a", "b");
}

static void sum_is_verified_in_foreign_layouts(void **state)
{
    (void)state;
    assert_set("{'Set':{'val':'b','key':'a','sum':'SUM'}}", "a", "b");
    assert_set(" \t{ 'Set':{ 'key':'a', 'val':'b','sum':'SUM'}}", "a", "b");
    assert_set("{'x':{},'Set':{'val':'b','key':'a','sum':'SUM'}}", "a", "b");
    assert_remove("{'Remove':{'batch':1,'key':'a','sum':'SUM'}}", "a");
    /* The sum matches, but this is no record. */
    assert_bad_json("{ 'Set':{'val':'b','sum':'SUM'}}", NULL);
    assert_bad_json("{'Set':{'key':'a','sum':'SUM'}}", "a");
    assert_bad_json("{'Set':{'key':'a','val':'b',,'sum':'SUM'}}", "a");
}

static void unknown_variant_with_a_sum_is_of_a_newer_version(void **state)
{
    (void)state;
    assert_unknown("{'Incr':{'by':1,'sum':'SUM'}}", NULL);
    assert_unknown("{'Sev':{'key':'user','val':'Alice','sum':'SUM'}}", "user");
    assert_unknown("{'Incr':{'key64':'dXNlcg==','by':1,'sum':'SUM'}}", "user");
    assert_unknown("{ 'Incr': {'key':'user','by':[1,{}],'sum':'SUM'}}", "user");
    assert_unknown("{'Incr':{'key':1,'sum':'SUM'}}", NULL);
    assert_unknown("{'Incr':{'key':'a','key64':'YQ==','sum':'SUM'}}", NULL);
    assert_unknown("{'v':2,'Incr':{'key':'user','sum':'SUM'}}", "user");
    assert_unknown("{'x':{'y':1},'Incr':{'key':'user','sum':'SUM'}}", "user");
    assert_unknown("{'x':{'key':'user','sum':1},'Incr':{'by':1,'sum':'SUM'}}",
                   "user");
    assert_unknown("{'':{'x':1,'sum':'SUM'}}", NULL);
}

static void assert_unknown_batch(const char *quoted, uint32_t batch)
{
    struct line line = line_of(quoted);
    struct kv_record record = decode(&line);
    check_type(quoted, &record, KV_RECORD_UNKNOWN);
    assert_int_equal(record.batch, batch);
    kv_record_release(&record);
    free(line.bytes);
}

static void unknown_variant_counts_in_its_batch(void **state)
{
    (void)state;
    assert_unknown_batch("{'Incr':{'key':'a','batch':3,'sum':'SUM'}}", 3);
    assert_unknown_batch(
        "{'x':{'batch':2},'Incr':{'key':'a','batch':1,'sum':'SUM'}}", 1);
    assert_unknown_batch("{'x':{'batch':2},'Incr':{'key':'a','sum':'SUM'}}", 0);
    assert_unknown_batch("{'Incr':{'key':'a','batch':'x','sum':'SUM'}}", 0);
}

static void unknown_variant_without_a_sum_is_damage(void **state)
{
    (void)state;
    assert_bad_json("{'Incr':{}}", NULL);
    assert_bad_json("{'set':{'key':'user','val':'Alice'}}", "user");
    assert_bad_json("{'Rename':{'key':'user','to':'x'}}", "user");
    assert_bad_json("{'Incr':{'key64':'dXNlcg==','by':1}}", "user");
    assert_bad_json("{'x':{'key':'user'},'Incr':{'key':'a'}}", "user");
    assert_bad_json("{'x':1,'':{}}", NULL);
    assert_bad_json("{'x':1,'sum':'00000000'}", NULL);
    assert_bad_json("{'Incr':{'key':'a','key':'b','sum':'SUM'}}", NULL);
    assert_bad_json("{'x':{'y':1,'y':1},'Incr':{'key':'b','sum':'SUM'}}", NULL);
}

static void unknown_variant_whose_sum_does_not_fit_is_corrupt(void **state)
{
    (void)state;
    assert_corrupt("{'Incr':{'key':'user','sum':'00000000'}}", "user");
    assert_corrupt("{'Incr':{'sum':'00000000'}}", NULL);
    assert_corrupt("{'Incr':{'key':'user','sum':'SUM'},'v':2}", "user");
    assert_corrupt("{'Incr':{'key':'user','sum':'SUM'}} ", "user");
    assert_corrupt("{'Incr':{'key':'user','sum':'SUM','v':2}}", "user");
    assert_corrupt("{'x':{},'Incr':{'by':1,'sum':'00000000'}}", NULL);
    assert_corrupt("{'Incr':{'by':1,'sum':'00000000'},'x':{}}", NULL);
    assert_corrupt("{'Incr':{'by':1,'sum':null}}", NULL);
}

static void lines_without_an_object_are_no_record(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{}",
        "[]",
        "1",
        "'Set'",
        "null",
        "[{'Set':{'key':'a','val':'b'}}]",
        "{'a':1}",
        "{'Incr':1}",
        "{'a':[{}]}",
        "{",
        "}",
        "{'",
        "x",
        "{'Set':{'key':'a','val':'b'}",
        "{'Set':{'key':'a','val':'b'}}}",
        "{'Set':{'key':'a','val':'b'}}{}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct line line = line_of(wrong[i]);
        struct kv_record record = decode(&line);
        check_type(wrong[i], &record, KV_RECORD_DAMAGED);
        assert_int_equal(record.damage, KVSTORE_BAD_JSON);
        assert_int_equal(record.has_key, strncmp(wrong[i], "{'Set'", 6) == 0);
        kv_record_release(&record);
        free(line.bytes);
    }
}

static void flipped_bit_in_the_word_set_is_corrupt(void **state)
{
    (void)state;
    const char *right = "{'Set':{'key':'user','val':'Alice','sum':'b2fd84ab'}}";
    for (size_t place = 2; place < 5; place++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct line line = line_of(right);
            line.bytes[place] = (char)(line.bytes[place] ^ (1 << bit));
            struct kv_record record = decode(&line);
            check_type(right, &record, KV_RECORD_DAMAGED);
            kv_record_release(&record);
            free(line.bytes);
        }
    }
    assert_corrupt("{'Sev':{'key':'user','val':'Alice','sum':'b2fd84ab'}}",
                   "user");
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct kv_record_plan plan = kv_record_plan_set("user", 4, "Alice", 5);
    struct line line = encode(&plan);
    for (size_t bit = 0; bit < line.size * 8; bit++) {
        line.bytes[bit / 8] = (char)(line.bytes[bit / 8] ^ (1 << bit % 8));
        struct kv_record record = decode(&line);
        /* Without this word the sum is an unknown member, the line is one
         * without a sum, and everything that counts in it is unchanged. */
        bool is_in_word = bit / 8 >= line.size - 17 && bit / 8 < line.size - 14;
        if (!is_in_word) {
            check_type("flipped", &record, KV_RECORD_DAMAGED);
        } else if (record.type != KV_RECORD_DAMAGED) {
            check_type("flipped", &record, KV_RECORD_SET);
            assert_true(means(&record.key, "user"));
            assert_true(means(&record.value, "Alice"));
        }
        kv_record_release(&record);
        line.bytes[bit / 8] = (char)(line.bytes[bit / 8] ^ (1 << bit % 8));
    }
    free(line.bytes);
}

static void torn_lines_are_damage_and_may_tell_their_key(void **state)
{
    (void)state;
    static const char *const whole[] = {
        "{'Set':{'key':'user','val':'Alice','sum':'SUM'}}",
        "{'Set':{'key64':'dXNlcg==','val64':'/w==','batch':1}}",
        "{'Remove':{'key':'user','batch':12,'sum':'SUM'}}",
        "{'Remove':{'key64':'dXNlcg=='}}",
    };
    for (size_t i = 0; i < COUNT(whole); i++) {
        struct line line = line_of(whole[i]);
        char *key_end = strchr(strchr(line.bytes, ':') + 1, ':') + 2;
        key_end = strchr(key_end, '"') + 1;
        for (size_t size = 1; size < line.size; size++) {
            struct line torn = line_of_bytes(line.bytes, size);
            struct kv_record record = decode(&torn);
            check_type(whole[i], &record, KV_RECORD_DAMAGED);
            /* One byte past the key's quote is needed. */
            bool is_told = size > (size_t)(key_end - line.bytes);
            check_key(whole[i], &record, is_told ? "user" : NULL);
            kv_record_release(&record);
            free(torn.bytes);
        }
        free(line.bytes);
    }
}

static void damaged_line_tells_only_a_sound_key(void **state)
{
    (void)state;
    assert_bad_json("{'Set':{'key':'a','val':'\x01'}}", "a");
    assert_bad_json("{'Set':{'key':'a',", "a");
    assert_bad_json("{'Set':{'key':'a'}", "a");
    assert_bad_json("{'Remove':{'key64':'YQ==',xxx", "a");
    assert_bad_json("{'Set':{'key':'a\\n\\u00e9',", "a\n\xc3\xa9");
    assert_bad_json("{'Set':{'key':'a'", NULL);
    assert_bad_json("{'Set':{'key':'a':", NULL);
    assert_bad_json("{'Set':{'key':'a' ,", NULL);
    assert_bad_json("{'Set':{'key':'\xff',", NULL);
    assert_bad_json("{'Set':{'key':'\\ud800',", NULL);
    assert_bad_json("{'Set':{'key64':'YQ=',", NULL);
    assert_bad_json("{'Set':{ 'key':'a',", NULL);
    assert_bad_json("{'Sev':{'key':'a',", NULL);
}

static void invalid_utf8_is_damage(void **state)
{
    (void)state;
    assert_bad_json("{'Set':{'key':'a','val':'\xff'}}", "a");
    assert_bad_json("{ 'Set':{'key':'a','val':'\xed\xa0\x80'}}", NULL);
    assert_bad_json("{'Set':{'key':'\xc0\x80','val':'b'}}", NULL);
    assert_bad_json("{'Set':{'key':'a','val':'b','\xff':1}}", "a");
    assert_bad_json("\xef\xbb\xbf{'Set':{'key':'a','val':'b'}}", NULL);
}

static struct line line_with_unknown_member(const struct json_case *member)
{
    static const char before[] = "{\"Set\":{\"key\":\"a\",\"val\":\"b\",\"x\":";
    char text[LINE_CAPACITY];
    size_t size = sizeof before - 1;
    memcpy(text, before, size);
    memcpy(text + size, member->text, member->size);
    size += member->size;
    memcpy(text + size, "}}", 2);
    return line_of_bytes(text, size + 2);
}

static void any_json_may_stand_in_an_unknown_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED_JSON_COUNT; i++) {
        struct line line = line_with_unknown_member(&accepted_json[i]);
        struct kv_json_facts facts;
        assert_true(kv_json_is_valid(line.bytes, line.size, &facts));
        struct kv_record record = decode(&line);
        check_type(accepted_json[i].name, &record, KV_RECORD_SET);
        check_key(accepted_json[i].name, &record, "a");
        kv_record_release(&record);
        free(line.bytes);
    }
}

static void nothing_but_json_may_stand_in_an_unknown_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < REFUSED_JSON_COUNT; i++) {
        struct line line = line_with_unknown_member(&refused_json[i]);
        struct kv_record record = decode(&line);
        check_type(refused_json[i].name, &record, KV_RECORD_DAMAGED);
        assert_int_equal(record.damage, KVSTORE_BAD_JSON);
        check_key(refused_json[i].name, &record, "a");
        kv_record_release(&record);
        free(line.bytes);
    }
}

static void long_numbers_in_unknown_members_are_ignored(void **state)
{
    (void)state;
    char number[2000];
    memset(number, '7', sizeof number);
    for (size_t size = 60; size < sizeof number; size += size < 70 ? 1 : 97) {
        char text[LINE_CAPACITY];
        (void)snprintf(text,
                       sizeof text,
                       "{'Set':{'x':[%.*s,-%.*s.5e+1],'\\'1':'%.*s\\\\',"
                       "'key':'a','val':'%.*s'}}",
                       (int)size,
                       number,
                       (int)size / 3,
                       number,
                       (int)size / 3,
                       number,
                       (int)size / 3,
                       number);
        char value[LINE_CAPACITY];
        (void)snprintf(value, sizeof value, "%.*s", (int)size / 3, number);
        assert_set(text, "a", value);
    }
}

/* Makes {"Set":{"key":"a","val":"b","x":[[[...]]]}}. */
static struct line nested_line(size_t count)
{
    static const char before[] = "{\"Set\":{\"key\":\"a\",\"val\":\"b\",\"x\":";
    struct line line = {allocate(sizeof before + 2 * count + 2), 0};
    memcpy(line.bytes, before, sizeof before - 1);
    line.size = sizeof before - 1;
    memset(line.bytes + line.size, '[', count);
    memset(line.bytes + line.size + count, ']', count);
    line.size += 2 * count;
    memcpy(line.bytes + line.size, "}}", 2);
    line.size += 2;
    return line;
}

static void nesting_beyond_its_bound_is_damage(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        enum kv_record_type type;
    } cases[] = {
        {KV_JSON_DEPTH_MAX - 2, KV_RECORD_SET},
        {KV_JSON_DEPTH_MAX - 1, KV_RECORD_DAMAGED},
        {100000, KV_RECORD_DAMAGED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct line line = nested_line(cases[i].count);
        struct kv_record record = decode(&line);
        check_type("nested", &record, cases[i].type);
        check_key("nested", &record, "a");
        kv_record_release(&record);
        free(line.bytes);
    }
}

/* Counts down to the allocation that fails; SIZE_MAX: none. */
static size_t allocations_left = SIZE_MAX;

static bool may_allocate(void)
{
    if (allocations_left == 0) {
        return false;
    }
    if (allocations_left != SIZE_MAX) {
        allocations_left--;
    }
    return true;
}

static void *limited_malloc(size_t size)
{
    return may_allocate() ? malloc(size) : NULL;
}

/* Decodes with the n-th allocation failing, for each n until none fails. */
static void check_each_allocation(const char *quoted)
{
    struct line line = line_of(quoted);
    struct kv_record record;
    kvstore_status status = KVSTORE_NO_MEMORY;
    size_t n = 0;
    while (status != KVSTORE_OK) {
        assert_true(n < 1000);
        allocations_left = n++;
        status = kv_record_decode(line.bytes, line.size, &record);
        if (status != KVSTORE_OK) {
            assert_int_equal(status, KVSTORE_NO_MEMORY);
            assert_int_equal(kvstore_last_error()->status, KVSTORE_NO_MEMORY);
        }
    }
    allocations_left = SIZE_MAX;
    assert_true(n > 5);
    check_type(quoted, &record, KV_RECORD_SET);
    assert_true(means(&record.key, "a") && means(&record.value, "b"));
    kv_record_release(&record);
    free(line.bytes);
}

static void lack_of_memory_is_never_damage(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {limited_malloc, free};
    cJSON_InitHooks(&hooks);
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = limited_malloc;
    kv_io_swap_table(&table);

    check_each_allocation("{ 'Set':{'x':[1,'y',{}],'val':'b','key':'a'}}");
    check_each_allocation(
        "{'Set':{'x':1000000000000000000000000000000000000000000000000000000"
        "0000000000000000000,'val':'b','key':'a'}}");

    kv_io_swap_table(kv_io_system_table());
    cJSON_InitHooks(NULL);
}

/* --- Lines that change while they are decoded --- */

/* The line changes at an allocation: when this has counted down to 0. */
static struct {
    size_t left;
    struct line line;
    const char *after;
} change;

static void *changing_malloc(size_t size)
{
    if (change.left == 0) {
        memcpy(change.line.bytes, change.after, change.line.size);
    }
    change.left--;
    return malloc(size);
}

static bool is_damaged(const struct kv_record *record)
{
    return record->type == KV_RECORD_DAMAGED;
}

/* Decodes a line that becomes another at the n-th allocation, for each n: the
 * result is what it was, with this value, or what it becomes, which is
 * damage. */
static void check_each_change(const char *before,
                              const char *after,
                              const char *value)
{
    struct line changed = line_of(after);
    size_t n = 0;
    do {
        change.line = line_of(before);
        assert_int_equal(change.line.size, changed.size);
        change.after = changed.bytes;
        change.left = n++;
        struct kv_record record = decode(&change.line);
        if (!is_damaged(&record)) {
            check_type(before, &record, KV_RECORD_SET);
            check_key(before, &record, "a");
            assert_true(means(&record.value, value));
        }
        kv_record_release(&record);
        free(change.line.bytes);
        assert_true(n < 1000);
    } while (change.left > SIZE_MAX / 2);
    assert_true(n > 3);
    free(changed.bytes);
}

static void foreign_line_that_changes_is_the_one_or_the_other(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {changing_malloc, free};
    cJSON_InitHooks(&hooks);
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = changing_malloc;
    kv_io_swap_table(&table);

    check_each_change("{ 'Set':{'key':'a','val':'bbbbb'}}",
                      "{ 'Set':{'key':'a','val':'\\u000'}}",
                      "bbbbb");
    check_each_change("{ 'Set':{'val':'\\u0041','key':'a','x':'\\u0000'}}",
                      "{ 'Set':{'val':'AAAAAA','key':'a','x':'\\x0000'}}",
                      "A");
    check_each_change("{ 'Set':{'key':'a','val64':'Zg=='}}",
                      "{ 'Set':{'key':'a','val64':'Zm9='}}",
                      "f");
    check_each_change("{ 'Set':{'key':'a','val':'b','sum':'SUM'}}",
                      "{ 'Set':{'key':'a','val':'c','sum':'00000000'}}",
                      "b");
    check_each_change("{ 'Set':{'key':'a','val':'b','x':1}}",
                      "{ 'Set':{'key':'a','val':'b','x':1]}",
                      "b");

    kv_io_swap_table(kv_io_system_table());
    cJSON_InitHooks(NULL);
}

/* Overwrites the escapes that the key and the value borrow from the line. */
static void canonical_line_that_changes_is_not_decoded(void **state)
{
    (void)state;
    struct line line = line_of("{'Set':{'key':'\\u0041','val':'\\u0041'}}");
    struct kv_record record = decode(&line);
    check_type("canonical", &record, KV_RECORD_SET);

    memcpy(line.bytes + strlen("{\"Set\":{\"key\":\""), "AAAAAA", 6);
    memcpy(line.bytes + line.size - 9, "AAAAAA", 6);

    char out[2] = "??";
    assert_false(kv_text_decode(&record.key, out));
    assert_false(kv_text_decode(&record.value, out));
    assert_int_equal(out[1], '?');
    kv_record_release(&record);
    free(line.bytes);
}

/* --- Memory --- */

/* Each allocation begins with its size. */
union counted {
    size_t size;
    max_align_t alignment;
};
static size_t counted_bytes;
static size_t most_bytes;

static void *counted_malloc(size_t size)
{
    union counted *counted = allocate(sizeof *counted + size);
    counted->size = size;
    counted_bytes += size;
    most_bytes = counted_bytes > most_bytes ? counted_bytes : most_bytes;
    return counted + 1;
}

static void counted_free(void *memory)
{
    if (memory != NULL) {
        union counted *counted = (union counted *)memory - 1;
        counted_bytes -= counted->size;
        free(counted);
    }
}

/* Returns the most that decoding a line has allocated at a time, in the
 * library's own memory and in cJSON's. */
static size_t decode_counted(const struct line *line,
                             struct kv_record *record_out)
{
    cJSON_Hooks hooks = {counted_malloc, counted_free};
    cJSON_InitHooks(&hooks);
    struct kv_io_table table = *kv_io_system_table();
    table.malloc = counted_malloc;
    table.free = counted_free;
    kv_io_swap_table(&table);
    counted_bytes = 0;
    most_bytes = 0;
    kvstore_status status =
        kv_record_decode(line->bytes, line->size, record_out);
    assert_int_equal(status, KVSTORE_OK);
    assert_true(means(&record_out->key, "a"));
    assert_true(means(&record_out->value, "b"));
    kv_record_release(record_out);
    assert_int_equal(counted_bytes, 0);
    kv_io_swap_table(kv_io_system_table());
    cJSON_InitHooks(NULL);
    return most_bytes;
}

/* Makes a line of a text so many times between two others. */
static struct line line_around(const char *before,
                               const char *repeated,
                               size_t count,
                               const char *after)
{
    size_t size = strlen(repeated);
    char *text = allocate(strlen(before) + count * size + strlen(after) + 1);
    char *at = text + sprintf(text, "%s", before);
    for (size_t i = 0; i < count; i++, at += size) {
        memcpy(at, repeated, size);
    }
    at += sprintf(at, "%s", after);
    struct line line = line_of_bytes(text, (size_t)(at - text));
    free(text);
    return line;
}

static void what_is_deeper_costs_no_memory(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{\"Set\":{\"note\":[1", ",123", "],\"key\":\"a\",\"val\":\"b\"}}"},
        {"{\"note\":[1", ",123", "],\"Set\":{\"key\":\"a\",\"val\":\"b\"}}"},
        {"{\"Set\":{\"key\":\"a\",\"val\":\"b\",\"note\":{\"1\":1",
         ",\"\":[]",
         "}}}"},
        {"{\"Set\":{\"key\":\"a\",\"val\":\"b\"},\"x\":{\"y\":[{}",
         ",\"]\"",
         "]}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t count = i == 0 ? 1000000 : 100000;
        struct line line =
            line_around(cases[i][0], cases[i][1], count, cases[i][2]);
        struct kv_record record;
        size_t most = decode_counted(&line, &record);
        assert_in_range(most, 1, 2 * line.size);
        free(line.bytes);
    }
}

/* Blanks do not excuse what is not JSON, and brackets in strings are none. */
static void what_is_deeper_is_judged_all_the_same(void **state)
{
    (void)state;
    assert_set(
        "{'Set':{'x':[']','}','\\']\\\\'],'key':'a','val':'b'}}", "a", "b");
    assert_set("{'x':[[{'Set':1}],'{'],'Set':{'y':{'z':{'{':[]}},'key':'a',"
               "'val':'b'}}",
               "a",
               "b");
    assert_set(
        "{ 'Set':{'key':'a','val':'b','x':[],'y':{},'z':[{}]}}", "a", "b");
    assert_bad_json("{ 'Set':{'key':'a','val':'b','x':[1,]}}", NULL);
    assert_bad_json("{ 'Set':{'key':'a','val':'b','x':[{'y':01}]}}", NULL);
    assert_bad_json("{ 'Set':{'key':'a','val':'b','x':['\xff']}}", NULL);
    assert_bad_json("{ 'Set':{'key':['a'],'val':'b'}}", NULL);
    assert_bad_json("{ 'Set':[{'key':'a','val':'b'}]}", NULL);
}

static void line_over_its_bound_is_damage(void **state)
{
    (void)state;
    /* Only the beginning is read; most of the rest is not even there. But that
     * many addresses must follow it, which 32 bits do not have past the
     * stack. */
    static const char begin[] = "{\"Set\":{\"key\":\"a\",\"val\":\"b\"}}";
    static char bytes[256];
    memcpy(bytes, begin, sizeof begin);
    struct kv_record record;
    assert_int_equal(kv_record_decode(bytes, KV_LINE_SIZE_MAX, &record),
                     KVSTORE_OK);
    check_type("over-long", &record, KV_RECORD_DAMAGED);
    check_key("over-long", &record, "a");
    kv_record_release(&record);
}

static void release_leaves_nothing_behind(void **state)
{
    (void)state;
    struct line line = line_of("{ 'Set':{'key':'a','val':'b'}}");
    struct kv_record record = decode(&line);
    assert_non_null(record.owned);

    kv_record_release(&record);

    assert_null(record.owned);
    kv_record_release(&record);
    free(line.bytes);
}

static uint64_t random_state = 0;

/* Returns the same numbers in each run (splitmix64). */
static size_t random_below(size_t bound)
{
    uint64_t mixed = random_state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((mixed ^ mixed >> 31) % bound);
}

/* Writes plain text, text with escapes, or any bytes. */
static size_t random_bytes(char *bytes, size_t smallest, size_t largest)
{
    static const char *const special[] = {
        "\"",
        "\\",
        "\n",
        "\x01",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "/",
        "\x7f",
    };
    uint64_t kind = random_below(4);
    size_t wanted = smallest + random_below(largest - smallest + 1);
    size_t size = 0;
    while (size < wanted) {
        const char *chosen = special[random_below(COUNT(special))];
        if (kind == 3) {
            bytes[size++] = (char)random_below(256);
        } else if (random_below(8) < kind && size + 4 <= largest) {
            memcpy(bytes + size, chosen, strlen(chosen));
            size += strlen(chosen);
        } else {
            bytes[size++] = (char)(' ' + random_below(95));
        }
    }
    return size;
}

static void generated_records_come_back(void **state)
{
    (void)state;
    random_state = 2;
    for (int i = 0; i < 20000; i++) {
        char key[64];
        char value[300];
        size_t key_size = random_bytes(key, 1, sizeof key);
        size_t value_size = random_bytes(value, 0, sizeof value);
        bool is_set = random_below(4) != 0;
        struct kv_record_plan plan =
            is_set ? kv_record_plan_set(key, key_size, value, value_size)
                   : kv_record_plan_remove(key, key_size);
        struct line line = encode(&plan);

        struct kv_record record = decode(&line);

        assert_int_equal(record.type,
                         is_set ? KV_RECORD_SET : KV_RECORD_REMOVE);
        assert_null(record.owned);
        assert_true(record.has_key);
        assert_true(kv_text_equals(&record.key, key, key_size));
        assert_true(!is_set ||
                    kv_text_equals(&record.value, value, value_size));
        assert_int_equal(record.batch, 0);
        kv_record_release(&record);
        free(line.bytes);
    }
}

static void largest_key_comes_back(void **state)
{
    (void)state;
    static char key[KV_KEY_SIZE_MAX];
    static const char fill[] = {'a', '\x01', '\n', '\xff', '\0'};
    for (size_t i = 0; i < sizeof fill; i++) {
        memset(key, fill[i], sizeof key);
        struct kv_record_plan plan =
            kv_record_plan_set(key, sizeof key, key, sizeof key);
        struct line line = encode(&plan);
        struct kv_record record = decode(&line);
        assert_int_equal(record.type, KV_RECORD_SET);
        assert_true(kv_text_equals(&record.key, key, sizeof key));
        assert_true(kv_text_equals(&record.value, key, sizeof key));
        kv_record_release(&record);
        free(line.bytes);
    }
}

/* Writes a canonical line without a sum, sometimes with everything that others
 * may put into one. */
static size_t random_canonical_line(char *out)
{
    char key[24];
    char value[64];
    size_t key_size = random_bytes(key, 1, sizeof key);
    size_t value_size = random_bytes(value, 0, sizeof value);
    struct kv_record_plan plan =
        random_below(3) != 0
            ? kv_record_plan_set(key, key_size, value, value_size)
            : kv_record_plan_remove(key, key_size);
    struct line line = encode(&plan);
    size_t size = line.size - strlen(",\"sum\":\"00000000\"}}");
    memcpy(out, line.bytes, size);
    free(line.bytes);
    if (random_below(3) == 0) {
        size += (size_t)sprintf(
            out + size, ",\"expires\":%u", (unsigned)random_below(1000));
    }
    if (random_below(3) == 0) {
        size += (size_t)sprintf(
            out + size, ",\"batch\":%u", (unsigned)random_below(1000));
    }
    memcpy(out + size, "}}", 2);
    return size + 2;
}

/* What makes a difference to a line. */
static const char *const inserted[] = {
    "\"",
    "\\",
    "{",
    "}",
    ",",
    ":",
    "0",
    "\\u0041",
    "\\u0000",
    "\\ufdd0",
    "\xef\xb7\x91",
    "\\ud83d",
    "\\/",
    " ",
    "\xff",
    "=",
    "\\n",
    "value",
    "key64",
    "batch",
    "expires",
    ",\"x\":1",
    "\xc3",
    "1.0",
    "null",
};

/* Changes, removes, inserts or repeats a few bytes. */
static size_t mutate(char *line, size_t size)
{
    for (uint64_t left = 1 + random_below(3); left > 0; left--) {
        size_t place = 1 + random_below(size - 2);
        const char *chosen = inserted[random_below(COUNT(inserted))];
        size_t chosen_size = strlen(chosen);
        switch (random_below(4)) {
        case 0:
            line[place] = (char)(line[place] ^ (1 << random_below(8)));
            break;
        case 1:
            memmove(line + place, line + place + 1, size - place - 1);
            size--;
            break;
        case 2:
            memmove(line + place + chosen_size, line + place, size - place);
            memcpy(line + place, chosen, chosen_size);
            size += chosen_size;
            break;
        default:
            line[place] = line[random_below(size)];
            break;
        }
    }
    return size;
}

static bool is_same_text(const struct kv_text *left,
                         const struct kv_text *right)
{
    char *bytes = allocate(right->size);
    assert_true(kv_text_decode(right, bytes));
    bool is_same = kv_text_equals(left, bytes, right->size);
    free(bytes);
    return is_same;
}

/* Decodes a line as it is, and with a blank after its first brace, which makes
 * it foreign. The two must agree. Returns the type. */
static enum kv_record_type compare_decoders(const char *bytes, size_t size)
{
    struct line line = line_of_bytes(bytes, size);
    struct line foreign = {allocate(size + 1), size + 1};
    foreign.bytes[0] = bytes[0];
    foreign.bytes[1] = ' ';
    memcpy(foreign.bytes + 2, bytes + 1, size - 1);
    struct kv_record one = decode(&line);
    struct kv_record other = decode(&foreign);

    enum kv_record_type type = one.type;
    bool is_same = type == other.type && one.batch == other.batch &&
                   one.expires_ms == other.expires_ms &&
                   one.damage == other.damage;
    if (is_same && type != KV_RECORD_DAMAGED) {
        is_same = one.has_key == other.has_key &&
                  is_same_text(&one.key, &other.key) &&
                  is_same_text(&one.value, &other.value);
    }
    if (!is_same) {
        fail_msg("decoders differ: %.*s", (int)size, bytes);
    }
    kv_record_release(&one);
    kv_record_release(&other);
    free(line.bytes);
    free(foreign.bytes);
    return type;
}

/* Returns the length that is reported for a line that begins these bytes. */
static size_t length_ahead(const char *quoted, const char *behind)
{
    struct line line = line_of(quoted);
    char text[LINE_CAPACITY];
    struct kv_record record;
    size_t size = (size_t)snprintf(
        text, sizeof text, "%.*s%s", (int)line.size, line.bytes, behind);
    free(line.bytes);
    line = line_of_bytes(text, size);
    size_t length = kv_record_decode_ahead(line.bytes, size, &record);
    assert_true(length == 0 || kv_record_is_record(&record));
    free(line.bytes);
    return length;
}

static void canonical_line_tells_where_it_ends(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{'Set':{'key':'a','val':'b','sum':'SUM'}}",
        "{'Set':{'key':'a','val64':'AA==','batch':3,'sum':'SUM'}}",
        "{'Set':{'key':'a','val':'b','expires':7,'sum':'SUM'}}",
        "{'Set':{'key':'a','val':'b','expires':7,'batch':3}}",
        "{'Remove':{'key':'a','sum':'SUM'}}",
        "{'Set':{'key':'a','value':'b'}}",
        "{'Remove':{'key64':'','batch':1}}",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct line line = line_of(lines[i]);
        size_t length = line.size + 1;
        free(line.bytes);
        assert_int_equal(length_ahead(lines[i], "\n"), length);
        assert_int_equal(length_ahead(lines[i], "\n{\"Set"), length);
        assert_int_equal(length_ahead(lines[i], "\n\n"), length);
        assert_int_equal(length_ahead(lines[i], ""), 0);
        assert_int_equal(length_ahead(lines[i], "\r\n"), 0);
        assert_int_equal(length_ahead(lines[i], "}\n"), 0);
    }
}

static void no_other_line_tells_where_it_ends(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "{'Set':{'key':'a','val':'b','sum':'00000000'}}",
        "{'Set':{'key':'a','val':'b','sum':'SUM'} }",
        " {'Set':{'key':'a','val':'b'}}",
        "{'Set':{'key':'a','val':'b'}",
        "{'Set':{'key':'a','val':'b','batch':0}}",
        "{'Set':{'key':'a','val':'b','expires':0}}",
        "{'Set':{'key':'a','val':'b','batch':1,'expires':7}}",
        "{'Remove':{'key':'a','expires':7}}",
        "{'Set':{'key':'a'}}",
        "{'Set':{'key':'",
        "{'Set':{'key':','sum':'SUM'}}",
        "{'Set':{'key':'','sum':'SUM'}}",
        "{'Set':{'key':'a','sum':'SUM'}}",
        "{'Set':{'key':'a','val':','sum':'SUM'}}",
        "{'Set':{'key':'a','val':'b'c','sum':'SUM'}}",
        "{'Set':{'key64':'a','val':'b'}}",
        "{'Rename':{'key':'a'}}",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_int_equal(length_ahead(lines[i], "\n"), 0);
    }
}

/* A line that is cut off anywhere, or has no bytes. */
static void cut_line_tells_no_end(void **state)
{
    (void)state;
    struct line line =
        line_of("{'Set':{'key':'a','val64':'AA==','sum':'SUM'}}");
    for (size_t size = 0; size <= line.size; size++) {
        struct line cut = line_of_bytes(line.bytes, size);
        struct kv_record record;
        assert_int_equal(kv_record_decode_ahead(cut.bytes, size, &record), 0);
        free(cut.bytes);
    }
    free(line.bytes);
}

static void both_decoders_agree_on_generated_lines(void **state)
{
    (void)state;
    random_state = 3;
    for (int i = 0; i < 20000; i++) {
        char line[LINE_CAPACITY];
        size_t size = random_canonical_line(line);
        compare_decoders(line, size);
    }
}

static void both_decoders_agree_on_mutated_lines(void **state)
{
    (void)state;
    size_t counts[KV_RECORD_DAMAGED + 1] = {0};
    random_state = 4;
    for (int i = 0; i < 40000; i++) {
        char line[LINE_CAPACITY];
        size_t size = random_canonical_line(line);
        size = mutate(line, size);
        counts[compare_decoders(line, size)]++;
    }
    /* The mutations are neither all fatal nor all harmless. */
    assert_true(counts[KV_RECORD_SET] > 4000);
    assert_true(counts[KV_RECORD_REMOVE] > 1000);
    assert_int_equal(counts[KV_RECORD_UNKNOWN], 0);
    assert_true(counts[KV_RECORD_DAMAGED] > 4000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(example_lines_are_written_byte_for_byte),
    cmocka_unit_test(added_members_are_written_in_their_order),
    cmocka_unit_test(text_of_many_escapes_is_a_string),
    cmocka_unit_test(value_is_base64_where_its_line_would_be_too_long),
    cmocka_unit_test(example_lines_are_read),
    cmocka_unit_test(empty_value_is_written_as_text),
    cmocka_unit_test(blank_lines_are_blank),
    cmocka_unit_test(nul_bytes_are_damage),
    cmocka_unit_test(lines_of_the_rust_program_are_read),
    cmocka_unit_test(canonical_lines_may_have_a_sum),
    cmocka_unit_test(escaped_nul_is_a_byte),
    cmocka_unit_test(stand_ins_are_themselves),
    cmocka_unit_test(foreign_layouts_are_read),
    cmocka_unit_test(unknown_members_are_ignored),
    cmocka_unit_test(wrong_members_are_damage),
    cmocka_unit_test(wrong_value_is_damage_that_tells_its_key),
    cmocka_unit_test(duplicate_members_are_damage),
    cmocka_unit_test(members_are_bounded_at_two_levels_together),
    cmocka_unit_test(what_is_deeper_costs_no_memory),
    cmocka_unit_test(what_is_deeper_is_judged_all_the_same),
    cmocka_unit_test(batch_counts_from_1_to_4294967295),
    cmocka_unit_test(set_expires_from_1_to_9007199254740991),
    cmocka_unit_test(other_expiry_is_damage_that_tells_its_key),
    cmocka_unit_test(sum_that_does_not_fit_is_corrupt),
    cmocka_unit_test(sum_is_verified_before_one_carriage_return),
    cmocka_unit_test(sum_of_another_form_is_corrupt),
    cmocka_unit_test(sum_in_another_place_is_corrupt),
    cmocka_unit_test(sum_elsewhere_is_an_unknown_member),
    cmocka_unit_test(sum_is_verified_in_foreign_layouts),
    cmocka_unit_test(unknown_variant_with_a_sum_is_of_a_newer_version),
    cmocka_unit_test(unknown_variant_counts_in_its_batch),
    cmocka_unit_test(unknown_variant_without_a_sum_is_damage),
    cmocka_unit_test(unknown_variant_whose_sum_does_not_fit_is_corrupt),
    cmocka_unit_test(lines_without_an_object_are_no_record),
    cmocka_unit_test(flipped_bit_in_the_word_set_is_corrupt),
    cmocka_unit_test(every_flipped_bit_is_noticed),
    cmocka_unit_test(torn_lines_are_damage_and_may_tell_their_key),
    cmocka_unit_test(damaged_line_tells_only_a_sound_key),
    cmocka_unit_test(invalid_utf8_is_damage),
    cmocka_unit_test(any_json_may_stand_in_an_unknown_member),
    cmocka_unit_test(nothing_but_json_may_stand_in_an_unknown_member),
    cmocka_unit_test(long_numbers_in_unknown_members_are_ignored),
    cmocka_unit_test(nesting_beyond_its_bound_is_damage),
    cmocka_unit_test(lack_of_memory_is_never_damage),
    cmocka_unit_test(foreign_line_that_changes_is_the_one_or_the_other),
    cmocka_unit_test(canonical_line_that_changes_is_not_decoded),
    cmocka_unit_test(line_over_its_bound_is_damage),
    cmocka_unit_test(release_leaves_nothing_behind),
    cmocka_unit_test(generated_records_come_back),
    cmocka_unit_test(largest_key_comes_back),
    cmocka_unit_test(canonical_line_tells_where_it_ends),
    cmocka_unit_test(no_other_line_tells_where_it_ends),
    cmocka_unit_test(cut_line_tells_no_end),
    cmocka_unit_test(both_decoders_agree_on_generated_lines),
    cmocka_unit_test(both_decoders_agree_on_mutated_lines),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
