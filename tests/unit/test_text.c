/* SPDX-License-Identifier: MIT */

/* Do record/text.c and record/text_plan.c do what their headers promise? */

#include "record/scan.h"
#include "record/text.h"
#include "record/text_plan.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A constant text, and its size without the NUL. */
#define BYTES(text) (text), (sizeof(text) - 1)
#define COUNT(array) (sizeof(array) / sizeof *(array))

struct bytes {
    const char *at;
    size_t size;
};

static char *allocate(size_t size)
{
    char *memory = malloc(size == 0 ? 1 : size);
    assert_non_null(memory);
    return memory;
}

/* Makes a copy that ends where its memory ends, so that the address sanitizer
 * sees each read past it. */
static char *exact_copy(const char *bytes, size_t size)
{
    char *copy = allocate(size);
    if (size != 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

static uint64_t random_state = 0;

/* Returns the same numbers in each run (splitmix64). */
static size_t random_below(size_t bound)
{
    uint64_t mixed = random_state += UINT64_C(0x9e3779b97f4a7c15);
    assert(bound > 0);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((mixed ^ mixed >> 31) % bound);
}

/* Scans raw as the inside of a string and compares what it means. */
static void assert_string_means(const char *raw,
                                const char *meaning,
                                size_t size)
{
    size_t raw_size = strlen(raw);
    char *line = exact_copy(raw, raw_size + 1);
    line[raw_size] = '"';
    struct kv_text text;

    const char *next = kv_text_scan_string(line, line + raw_size + 1, &text);

    assert_ptr_equal(next, line + raw_size + 1);
    assert_ptr_equal(text.raw, line);
    assert_int_equal(text.raw_size, raw_size);
    assert_int_equal(text.size, size);
    char *decoded = allocate(size);
    assert_true(kv_text_decode(&text, decoded));
    assert_memory_equal(decoded, meaning, size);
    assert_true(kv_text_equals(&text, meaning, size));
    free(decoded);
    free(line);
}

static bool is_string(const char *raw, size_t raw_size)
{
    char *line = exact_copy(raw, raw_size);
    struct kv_text text;
    const char *next = kv_text_scan_string(line, line + raw_size, &text);
    free(line);
    return next != NULL;
}

/* True if the bytes are valid UTF-8 (RFC 3629); NUL is. */
static bool text_is_utf8(const char *bytes, size_t size)
{
    const char *end = bytes + size;
    const char *at = kv_scan_text(bytes, end);
    while (at < end && (unsigned char)*at < 0x80) {
        at = kv_scan_text(at + 1, end);
    }
    return at == end;
}

static bool is_utf8(const char *bytes, size_t size)
{
    char *copy = exact_copy(bytes, size);
    bool is_valid = text_is_utf8(copy, size);
    free(copy);
    return is_valid;
}

static bool is_base64(const char *bytes, size_t size)
{
    char *copy = exact_copy(bytes, size);
    struct kv_text text;
    bool is_valid = kv_text_from_base64(copy, size, &text);
    free(copy);
    return is_valid;
}

static const struct bytes valid_utf8[] = {
    {BYTES("")},
    {BYTES("plain")},
    {BYTES("nul \0 is a character")},
    {BYTES("\x7f")},
    {BYTES("\xc2\x80")},         /* U+0080 */
    {BYTES("\xdf\xbf")},         /* U+07FF */
    {BYTES("\xe0\xa0\x80")},     /* U+0800 */
    {BYTES("\xec\xbf\xbf")},     /* U+CFFF */
    {BYTES("\xed\x9f\xbf")},     /* U+D7FF */
    {BYTES("\xee\x80\x80")},     /* U+E000 */
    {BYTES("\xef\xbb\xbf")},     /* U+FEFF */
    {BYTES("\xef\xbf\xbf")},     /* U+FFFF */
    {BYTES("\xf0\x90\x80\x80")}, /* U+10000 */
    {BYTES("\xf3\xbf\xbf\xbf")}, /* U+FFFFF */
    {BYTES("\xf4\x8f\xbf\xbf")}, /* U+10FFFF */
    {BYTES("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 end")},
    {BYTES("\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82")},
};

static const struct bytes invalid_utf8[] = {
    {BYTES("\x80")},                     /* A continuation alone. */
    {BYTES("\xbf")},                     /* The last of them. */
    {BYTES("\xc0\x80")},                 /* Overlong NUL. */
    {BYTES("\xc0\xaf")},                 /* Overlong slash. */
    {BYTES("\xc1\xbf")},                 /* Overlong U+007F. */
    {BYTES("\xe0\x80\x80")},             /* Overlong, three bytes. */
    {BYTES("\xe0\x9f\xbf")},             /* Overlong U+07FF. */
    {BYTES("\xf0\x80\x80\x80")},         /* Overlong, four bytes. */
    {BYTES("\xf0\x8f\xbf\xbf")},         /* Overlong U+FFFF. */
    {BYTES("\xed\xa0\x80")},             /* U+D800 */
    {BYTES("\xed\xaf\xbf")},             /* U+DBFF */
    {BYTES("\xed\xb0\x80")},             /* U+DC00 */
    {BYTES("\xed\xbf\xbf")},             /* U+DFFF */
    {BYTES("\xed\xa0\xbd\xed\xb8\x80")}, /* CESU-8 pair */
    {BYTES("\xf4\x90\x80\x80")},         /* U+110000 */
    {BYTES("\xf5\x80\x80\x80")},
    {BYTES("\xf8\x88\x80\x80\x80")},
    {BYTES("\xfc\x84\x80\x80\x80\x80")},
    {BYTES("\xfe")},
    {BYTES("\xff")},
    {BYTES("\xc2")}, /* Truncated. */
    {BYTES("\xe2\x82")},
    {BYTES("\xe2")},
    {BYTES("\xf0\x9f\x98")},
    {BYTES("\xf0\x9f")},
    {BYTES("\xf0")},
    {BYTES("\xc2\x41")}, /* Wrong continuations. */
    {BYTES("\xc2\xc2")},
    {BYTES("\xe2\x41\xac")},
    {BYTES("\xe2\x82\x41")},
    {BYTES("\xf0\x9f\x98\x41")},
    {BYTES("\xf0\x9f\x41\x80")},
    {BYTES("\xf0\x41\x98\x80")},
};

/* Surrounds a case with enough text that it falls at every place in a word, and
 * into both loops. */
static void assert_utf8_everywhere(const struct bytes *given, bool is_valid)
{
    for (size_t before = 0; before <= 40; before++) {
        for (size_t behind = 0; behind <= 9; behind++) {
            char buffer[128];
            memset(buffer, 'a', sizeof buffer);
            memcpy(buffer + before, given->at, given->size);
            size_t size = before + given->size + behind;
            assert_int_equal(is_utf8(buffer, size), is_valid);
            bool has_nul = memchr(buffer, 0, size) != NULL;
            buffer[size] = '"';
            assert_int_equal(is_string(buffer, size + 1), is_valid && !has_nul);
            bool is_text =
                kv_text_plan(buffer, size, SIZE_MAX).form != KV_TEXT_BASE64;
            assert_int_equal(is_text, is_valid && !has_nul);
        }
    }
}

static void valid_utf8_is_accepted_at_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid_utf8); i++) {
        assert_utf8_everywhere(&valid_utf8[i], true);
    }
}

static void invalid_utf8_is_refused_at_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(invalid_utf8); i++) {
        assert_utf8_everywhere(&invalid_utf8[i], false);
    }
}

/* RFC 3629 by its definition: decodes, then compares with the shortest form. */
static bool is_one_character(const unsigned char *bytes, size_t size)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead_mask[] = {0, 0, 0x1f, 0x0f, 0x07};
    static const unsigned char lead_bits[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if ((bytes[0] & ~lead_mask[size] & 0xff) != lead_bits[size]) {
        return false;
    }
    uint32_t code = bytes[0] & lead_mask[size];
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return false;
        }
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code >= smallest[size] && code <= 0x10ffff &&
           (code < 0xd800 || code > 0xdfff);
}

/* Checks the first two, three and four of these bytes. */
static void check_characters(const unsigned char bytes[4])
{
    const char *text = (const char *)bytes;
    bool is_one_of_two = is_one_character(bytes, 2);
    assert_int_equal(text_is_utf8(text, 4), is_one_character(bytes, 4));
    assert_int_equal(text_is_utf8(text, 3),
                     is_one_character(bytes, 3) ||
                         (is_one_of_two && bytes[2] < 0x80));
    assert_int_equal(text_is_utf8(text, 2), is_one_of_two);
}

static void all_lead_and_second_bytes_match_the_definition(void **state)
{
    (void)state;
    for (unsigned pair = 0x8000; pair < 0x10000; pair++) {
        unsigned char lead = (unsigned char)(pair >> 8);
        unsigned char second = (unsigned char)(pair & 0xff);
        check_characters((unsigned char[]){lead, second, 0x7f, 0xc0});
        check_characters((unsigned char[]){lead, second, 0x80, 0xbf});
        check_characters((unsigned char[]){lead, second, 0xbf, 0x80});
        check_characters((unsigned char[]){lead, second, 0xbf, 0xc0});
        check_characters((unsigned char[]){lead, second, 0xc0, 0x80});
    }
}

static void every_escape_is_read(void **state)
{
    (void)state;
    assert_string_means("", BYTES(""));
    assert_string_means("plain", BYTES("plain"));
    assert_string_means("\\\"\\\\\\/", BYTES("\"\\/"));
    assert_string_means("\\b\\f\\n\\r\\t", BYTES("\b\f\n\r\t"));
    assert_string_means("a\\u0041z", BYTES("aAz"));
    assert_string_means("\\u0000", BYTES("\0"));
    assert_string_means("a\\u0000b", BYTES("a\0b"));
    assert_string_means("\\u007f", BYTES("\x7f"));
    assert_string_means("\\u0080", BYTES("\xc2\x80"));
    assert_string_means("\\u07ff", BYTES("\xdf\xbf"));
    assert_string_means("\\u0800", BYTES("\xe0\xa0\x80"));
    assert_string_means("\\ud7ff\\ue000", BYTES("\xed\x9f\xbf\xee\x80\x80"));
    assert_string_means("\\uFFFF", BYTES("\xef\xbf\xbf"));
    assert_string_means("\\uabCD", BYTES("\xea\xaf\x8d"));
    assert_string_means("\\ud800\\udc00", BYTES("\xf0\x90\x80\x80"));
    assert_string_means("\\uD83D\\uDE00!", BYTES("\xf0\x9f\x98\x80!"));
    assert_string_means("\\udbff\\udfff", BYTES("\xf4\x8f\xbf\xbf"));
    assert_string_means("caf\xc3\xa9\\n", BYTES("caf\xc3\xa9\n"));
    assert_string_means("\\\\u0041", BYTES("\\u0041"));
}

static void wrong_escapes_are_refused(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        {BYTES("\\\"")},
        {BYTES("\\")},
        {BYTES("\\a\"")},
        {BYTES("\\v\"")},
        {BYTES("\\0\"")},
        {BYTES("\\'\"")},
        {BYTES("\\x41\"")},
        {BYTES("\\U0041\"")},
        {BYTES("\\\0\"")},
        {BYTES("\\\n\"")},
        {BYTES("\\u\"")},
        {BYTES("\\u1\"")},
        {BYTES("\\u12\"")},
        {BYTES("\\u123\"")},
        {BYTES("\\u123g\"")},
        {BYTES("\\u 123\"")},
        {BYTES("\\u+123\"")},
        {BYTES("\\u12")},
        {BYTES("\\u1234")},
        {BYTES("\\ud800\"")},
        {BYTES("\\ud800")},
        {BYTES("\\udbff\"")},
        {BYTES("\\udc00\"")},
        {BYTES("\\udfff\"")},
        {BYTES("\\ud800a\"")},
        {BYTES("\\ud800\\n\"")},
        {BYTES("\\ud800\\u0041\"")},
        {BYTES("\\ud800\\ud800\"")},
        {BYTES("\\ud800\\ue000\"")},
        {BYTES("\\udc00\\ud800\"")},
        {BYTES("\\ud800\\udc0\"")},
        {BYTES("\\ud800\\udc0g\"")},
        {BYTES("\\ud800\\")},
        {BYTES("\\ud800\\udc0")},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_false(is_string(wrong[i].at, wrong[i].size));
    }
}

static void unescaped_control_characters_are_refused(void **state)
{
    (void)state;
    for (int byte = 0; byte < 0x20; byte++) {
        for (size_t before = 0; before < 40; before++) {
            char raw[64];
            memset(raw, 'a', sizeof raw);
            raw[before] = (char)byte;
            raw[before + 10] = '"';
            assert_false(is_string(raw, before + 11));
        }
    }
}

static void unclosed_strings_are_refused(void **state)
{
    (void)state;
    char raw[80];
    memset(raw, 'x', sizeof raw);
    for (size_t size = 0; size < sizeof raw; size++) {
        assert_false(is_string(raw, size));
    }
}

static void string_ends_at_its_first_quote(void **state)
{
    (void)state;
    for (size_t size = 0; size < 80; size++) {
        char line[100];
        memset(line, 'x', sizeof line);
        line[size] = '"';
        line[size + 9] = '"';
        struct kv_text text;
        const char *next = kv_text_scan_string(line, line + size + 10, &text);
        assert_ptr_equal(next, line + size + 1);
        assert_int_equal(text.size, size);
        assert_int_equal(text.form, KV_TEXT_PLAIN);
    }
}

/* Bytes next to the special ones in value must not be taken for them, whatever
 * is beside them. */
static void all_byte_pairs_stand_as_they_should(void **state)
{
    (void)state;
    for (int first = 0; first < 0x80; first++) {
        for (int second = 0; second < 0x80; second++) {
            char raw[48];
            memset(raw, '!', sizeof raw);
            raw[40] = '"';
            raw[5] = (char)first;
            raw[6] = (char)second;
            struct kv_text text;
            const char *next = kv_text_scan_string(raw, raw + 41, &text);
            bool is_plain = first >= 0x20 && second >= 0x20 && first != '"' &&
                            second != '"' && first != '\\' && second != '\\';
            bool is_whole = next == raw + 41 && text.form == KV_TEXT_PLAIN;
            assert_int_equal(is_whole, is_plain);
            struct kv_text_plan plan = kv_text_plan(raw, 40, SIZE_MAX);
            assert_int_equal(plan.form == KV_TEXT_PLAIN, is_plain);
        }
    }
}

static void base64_vectors_decode(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
        {"\xff\xfe", "//4="},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        const char *meaning = vectors[i][0];
        size_t raw_size = strlen(vectors[i][1]);
        char *raw = exact_copy(vectors[i][1], raw_size);
        struct kv_text text;
        char decoded[8];

        assert_true(kv_text_from_base64(raw, raw_size, &text));

        assert_int_equal(text.form, KV_TEXT_BASE64);
        assert_int_equal(text.size, strlen(meaning));
        assert_true(kv_text_decode(&text, decoded));
        assert_memory_equal(decoded, meaning, strlen(meaning));
        assert_true(kv_text_equals(&text, meaning, strlen(meaning)));
        char encoded[16];
        struct kv_text_plan plan = {KV_TEXT_BASE64, raw_size};
        assert_ptr_equal(
            kv_text_encode(plan, meaning, strlen(meaning), encoded),
            encoded + raw_size);
        assert_memory_equal(encoded, raw, raw_size);
        free(raw);
    }
}

static void base64_that_is_not_strict_is_refused(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        {BYTES("Z")}, /* Missing padding. */
        {BYTES("Zg")},
        {BYTES("Zg=")},
        {BYTES("Zm8")},
        {BYTES("Zm9vYg")},
        {BYTES("Zm9vY")},
        {BYTES("Zm9vYg==Zm9v")}, /* Padding inside. */
        {BYTES("Zg==Zg==")},
        {BYTES("Z===")}, /* Too much padding. */
        {BYTES("====")},
        {BYTES("Zm9v====")},
        {BYTES("Zm=v")},
        {BYTES("Z=9v")},
        {BYTES("=m9v")},
        {BYTES("Zh==")}, /* Unused bits that are not zero. */
        {BYTES("Zj==")},
        {BYTES("Zn==")},
        {BYTES("Zo==")},
        {BYTES("Zm9=")},
        {BYTES("Zm+=")},
        {BYTES("Zm8\n")}, /* White space. */
        {BYTES("Zm9v\n")},
        {BYTES(" Zm9v")},
        {BYTES("Zm 9v===")},
        {BYTES("Zm9 ")},
        {BYTES("Zm9v\r\n  ")},
        {BYTES("-_-_")}, /* The URL alphabet. */
        {BYTES("Zm9\0")},
        {BYTES("Zm9\x80")},
        {BYTES("Zm9\xff")},
        {BYTES("Zm9\"")},
        {BYTES("\\/\\/")},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_false(is_base64(wrong[i].at, wrong[i].size));
    }
}

static void base64_alphabet_is_exact_at_each_place(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
                                 "rstuvwxyz0123456789+/";
    for (int byte = 0; byte < 0x100; byte++) {
        for (size_t place = 0; place < 8; place++) {
            char raw[8];
            memset(raw, 'A', sizeof raw);
            raw[place] = (char)byte;
            bool is_digit = byte != 0 && strchr(digits, byte) != NULL;
            bool is_padding = byte == '=' && place == 7;
            assert_int_equal(is_base64(raw, 8), is_digit || is_padding);
        }
    }
}

static void base64_string_is_scanned_to_its_quote(void **state)
{
    (void)state;
    const char *line = "//4=\",\"val\"";
    struct kv_text text;

    const char *next = kv_text_scan_base64(line, line + strlen(line), &text);

    assert_ptr_equal(next, line + 5);
    assert_int_equal(text.size, 2);
    assert_true(kv_text_equals(&text, BYTES("\xff\xfe")));
    assert_null(kv_text_scan_base64(line, line + 4, &text));
    assert_null(kv_text_scan_base64(line, line, &text));
    const char *odd = "/4=\"";
    assert_null(kv_text_scan_base64(odd, odd + 4, &text));
    const char *empty = "\"";
    assert_ptr_equal(kv_text_scan_base64(empty, empty + 1, &text), empty + 1);
    assert_int_equal(text.size, 0);
}

static void texts_without_bytes_need_no_memory(void **state)
{
    (void)state;
    struct kv_text text = kv_text_plain(NULL, 0);

    assert_int_equal(text.size, 0);
    assert_non_null(text.raw);
    assert_true(kv_text_equals(&text, NULL, 0));
    assert_false(kv_text_equals(&text, "a", 1));
    assert_true(kv_text_decode(&text, NULL));
    struct kv_text_plan plan = kv_text_plan(NULL, 0, 0);
    assert_int_equal(plan.form, KV_TEXT_PLAIN);
    assert_int_equal(plan.raw_size, 0);
    char out = 'x';
    assert_ptr_equal(kv_text_encode(plan, NULL, 0, &out), &out);
    assert_int_equal(out, 'x');
}

static void assert_written_as(const char *bytes,
                              size_t size,
                              const char *expected)
{
    char encoded[256];
    struct kv_text_plan plan = kv_text_plan(bytes, size, SIZE_MAX);
    assert_int_equal(plan.raw_size, strlen(expected));
    assert_ptr_equal(kv_text_encode(plan, bytes, size, encoded),
                     encoded + plan.raw_size);
    assert_memory_equal(encoded, expected, plan.raw_size);
}

static void text_is_escaped_as_the_format_says(void **state)
{
    (void)state;
    assert_written_as(BYTES("user"), "user");
    assert_written_as(BYTES("a/b\x7f caf\xc3\xa9"), "a/b\x7f caf\xc3\xa9");
    assert_written_as(BYTES("some words, \b"), "some words, \\b");
    assert_written_as(BYTES("some words, \t"), "some words, \\t");
    assert_written_as(BYTES("some words, \n"), "some words, \\n");
    assert_written_as(BYTES("some words, \f"), "some words, \\f");
    assert_written_as(BYTES("some words, \r"), "some words, \\r");
    assert_written_as(BYTES("some words, \""), "some words, \\\"");
    assert_written_as(BYTES("some words, \\"), "some words, \\\\");
    assert_written_as(BYTES("many more words, \x01 and"),
                      "many more words, \\u0001 and");
    assert_written_as(BYTES("many more words, \x0b and"),
                      "many more words, \\u000b and");
    assert_written_as(BYTES("many more words, \x1f and"),
                      "many more words, \\u001f and");
    assert_written_as(BYTES("\xe2\x82\xac\xe2\x82\xac\n\xe2\x82\xac"),
                      "\xe2\x82\xac\xe2\x82\xac\\n\xe2\x82\xac");
}

static void text_is_text_whatever_its_escapes_cost(void **state)
{
    (void)state;
    assert_written_as(BYTES("\"\"\""), "\\\"\\\"\\\"");
    assert_written_as(BYTES("{\"a\":\"b\"}"), "{\\\"a\\\":\\\"b\\\"}");
    assert_written_as(BYTES("1\n2\n3\n"), "1\\n2\\n3\\n");
    assert_written_as(BYTES("\x01"), "\\u0001");
    assert_written_as(BYTES("\x01\x02\x1f\x7f"), "\\u0001\\u0002\\u001f\x7f");
    assert_written_as(BYTES("\t\xc3\xa9\t\xe2\x82\xac\""),
                      "\\t\xc3\xa9\\t\xe2\x82\xac\\\"");
}

static void text_with_nul_or_bad_utf8_is_base64(void **state)
{
    (void)state;
    assert_written_as(BYTES("\0"), "AA==");
    assert_written_as(BYTES("a long text with one \0 in it"),
                      "YSBsb25nIHRleHQgd2l0aCBvbmUgACBpbiBpdA==");
    assert_written_as(BYTES("\xff\xfe"), "//4=");
    assert_written_as(BYTES("\xed\xa0\x80"), "7aCA");
    assert_written_as(BYTES("a long text with one \xe9 in it"),
                      "YSBsb25nIHRleHQgd2l0aCBvbmUg6SBpbiBpdA==");
}

static size_t escaped_byte_size(char character)
{
    if (character != 0 && strchr("\"\\\b\t\n\f\r", character) != NULL) {
        return 2;
    }
    return (unsigned char)character < 0x20 ? 6 : 1;
}

/* Plans by the rule of the format, byte by byte. */
static struct kv_text_plan plan_by_definition(const char *bytes,
                                              size_t size,
                                              size_t raw_size_max)
{
    size_t escaped_size = 0;
    for (size_t i = 0; i < size; i++) {
        escaped_size += escaped_byte_size(bytes[i]);
    }
    size_t base64_size = (size + 2) / 3 * 4;
    bool is_text = text_is_utf8(bytes, size) &&
                   (size == 0 || memchr(bytes, 0, size) == NULL) &&
                   escaped_size <= raw_size_max;
    if (!is_text) {
        return (struct kv_text_plan){KV_TEXT_BASE64, base64_size};
    }
    return (struct kv_text_plan){
        escaped_size == size ? KV_TEXT_PLAIN : KV_TEXT_ESCAPED, escaped_size};
}

/* Plans text with some quotes, which take two bytes, and some escapes of
 * six. */
static void check_plan(size_t size, size_t quotes, size_t controls)
{
    char bytes[48];
    memset(bytes, 'a', sizeof bytes);
    memset(bytes, '"', quotes);
    memset(bytes + size - controls, 0x1b, controls);
    size_t escaped_size = size + quotes + 5 * controls;
    for (size_t i = 0; i < 3 && escaped_size > 0; i++) {
        size_t raw_size_max = escaped_size + i - 1;

        struct kv_text_plan plan = kv_text_plan(bytes, size, raw_size_max);

        struct kv_text_plan expected =
            plan_by_definition(bytes, size, raw_size_max);
        assert_int_equal(plan.form, expected.form);
        assert_int_equal(plan.raw_size, expected.raw_size);
        assert_int_equal(plan.form == KV_TEXT_BASE64, i == 0);
    }
}

static void check_plans(size_t size, size_t controls)
{
    for (size_t quotes = 0; quotes + controls <= size; quotes++) {
        check_plan(size, quotes, controls);
    }
}

static void text_is_base64_only_beyond_its_bound(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 48; size++) {
        for (size_t controls = 0; controls <= size; controls++) {
            check_plans(size, controls);
        }
    }
}

/* Fills bytes with text of one of ten kinds, and returns their size. */
static size_t random_bytes(char *bytes, size_t capacity)
{
    static const char *const special[] = {
        "\"",
        "\\",
        "\n",
        "\x01",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\xf0\x9f\x98\x80",
    };
    uint64_t kind = random_below(10);
    size_t size = 0;
    size_t wanted = random_below(capacity - 8);
    while (size < wanted) {
        if (kind == 9) {
            bytes[size++] = (char)random_below(256);
        } else if (random_below(10) < kind) {
            const char *chosen = special[random_below(COUNT(special))];
            memcpy(bytes + size, chosen, strlen(chosen));
            size += strlen(chosen);
        } else {
            bytes[size++] = (char)(' ' + random_below(95));
        }
    }
    return size;
}

static void assert_round_trip(const char *bytes, size_t size)
{
    struct kv_text_plan plan = kv_text_plan(bytes, size, SIZE_MAX);
    struct kv_text_plan expected = plan_by_definition(bytes, size, SIZE_MAX);
    assert_int_equal(plan.form, expected.form);
    assert_int_equal(plan.raw_size, expected.raw_size);
    char *line = allocate(plan.raw_size + 1);
    char *end = kv_text_encode(plan, bytes, size, line);
    *end++ = '"';

    struct kv_text text;
    const char *next = plan.form == KV_TEXT_BASE64
                           ? kv_text_scan_base64(line, end, &text)
                           : kv_text_scan_string(line, end, &text);

    assert_ptr_equal(next, end);
    assert_int_equal(text.form, plan.form);
    assert_int_equal(text.size, size);
    assert_true(kv_text_equals(&text, bytes, size));
    char decoded[400];
    assert_true(kv_text_decode(&text, decoded));
    assert_memory_equal(decoded, bytes, size);
    if (size > 0) {
        decoded[random_below(size)] ^= 1;
        assert_false(kv_text_equals(&text, decoded, size));
        assert_false(kv_text_equals(&text, bytes, size - 1));
    }
    free(line);
}

static void generated_bytes_come_back_in_every_form(void **state)
{
    (void)state;
    random_state = 1;
    for (int i = 0; i < 20000; i++) {
        char bytes[400];
        size_t size = random_bytes(bytes, sizeof bytes);
        char *copy = exact_copy(bytes, size);
        assert_round_trip(copy, size);
        free(copy);
    }
}

/* --- Bytes that change after they were scanned --- */

static struct kv_text scan(const char *line, size_t size, bool is_base64_text)
{
    struct kv_text text;
    const char *next = is_base64_text
                           ? kv_text_scan_base64(line, line + size, &text)
                           : kv_text_scan_string(line, line + size, &text);
    assert_ptr_equal(next, line + size);
    return text;
}

/* Decodes into memory of exactly the text's size and one byte more, which must
 * stay as it is. */
static bool decode_with_canary(const struct kv_text *text)
{
    char *out = allocate(text->size + 1);
    out[text->size] = '#';
    bool is_decoded = kv_text_decode(text, out);
    assert_int_equal(out[text->size], '#');
    if (is_decoded) {
        assert_true(kv_text_equals(text, out, text->size));
    }
    free(out);
    return is_decoded;
}

static const struct {
    const char *before;
    const char *after;
    bool is_base64;
} size_changes[] = {
    {"\\u0041", "AAAAAA", false},
    {"\\u0041\\u0041", "AAAAAAAAAAAA", false},
    {"\\u0041", "\\n\\n\\n", false},
    {"\\n\\n\\n", "\\u0041", false},
    {"\\ud83d\\ude00", "\\u20ac\\u20ac", false},
    {"\\u20ac\\u20ac", "\\ud83d\\ude00", false},
    {"\\n1234", "\\ud83d", false},
    {"ab\\n", "ab\\u", false},
    {"ab\\n", "abc\\", false},
    {"\\n", "\\\0", false},
    {"Zg==", "Zm9v", true},
    {"Zg==", "Zm8=", true},
    {"Zg==", "Zh==", true},
    {"Zm8=", "Zm9v", true},
    {"Zm8=", "Zg==", true},
    {"Zm8=", "Zm9=", true},
    {"Zm9v", "Zg==", true},
    {"Zm9v", "Zm9\"", true},
    {"Zm9vZm9v", "Zg==Zm9v", true},
    {"Zm9vZm9v", "Zm9vZm8=", true},
    {"Zm9vZg==", "Zm9vZm9v", true},
};

/* Changes a text in place after it was scanned; neither call must see it as
 * what it was, or as anything of the same size. */
static void assert_change_is_noticed(const char *before,
                                     const char *after,
                                     bool is_base64)
{
    size_t raw_size = strlen(before);
    char *line = exact_copy(before, raw_size + 1);
    line[raw_size] = '"';
    struct kv_text text = scan(line, raw_size + 1, is_base64);
    char *meaning = allocate(text.size);
    assert_true(kv_text_decode(&text, meaning));

    memcpy(line, after, raw_size);

    if (decode_with_canary(&text) ||
        kv_text_equals(&text, meaning, text.size)) {
        fail_msg("%s has become %s", before, after);
    }
    free(meaning);
    free(line);
}

static void text_that_changes_its_size_is_not_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(size_changes); i++) {
        assert_change_is_noticed(size_changes[i].before,
                                 size_changes[i].after,
                                 size_changes[i].is_base64);
    }
}

static void text_that_keeps_its_size_is_what_it_is_now(void **state)
{
    (void)state;
    char line[] = "\\u0041bc\"";
    struct kv_text text = scan(line, sizeof line - 1, false);
    char out[3];

    memcpy(line, "b\\u0044C", 8);

    assert_true(kv_text_decode(&text, out));
    assert_memory_equal(out, "bDC", 3);
    assert_true(kv_text_equals(&text, "bDC", 3));
}

/* Any bytes in the place of any text: nothing past the room is touched. */
static void text_that_becomes_anything_stays_in_its_room(void **state)
{
    (void)state;
    size_t refused = 0;
    random_state = 5;
    for (int i = 0; i < 20000; i++) {
        char bytes[400];
        size_t size = random_bytes(bytes, sizeof bytes);
        struct kv_text_plan plan = kv_text_plan(bytes, size, SIZE_MAX);
        char *line = allocate(plan.raw_size + 1);
        *kv_text_encode(plan, bytes, size, line) = '"';
        struct kv_text text =
            scan(line, plan.raw_size + 1, plan.form == KV_TEXT_BASE64);

        for (size_t left = 1 + random_below(4); left > 0; left--) {
            static const char changes[] = "\\\\\\u0n\"=Ax\xc3\xff";
            size_t change = random_below(sizeof changes);
            line[random_below(plan.raw_size + 1)] = changes[change];
        }

        refused += decode_with_canary(&text) ? 0 : 1;
        (void)kv_text_equals(&text, bytes, size);
        free(line);
    }
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_utf8_is_accepted_at_every_place),
        cmocka_unit_test(invalid_utf8_is_refused_at_every_place),
        cmocka_unit_test(all_lead_and_second_bytes_match_the_definition),
        cmocka_unit_test(every_escape_is_read),
        cmocka_unit_test(wrong_escapes_are_refused),
        cmocka_unit_test(unescaped_control_characters_are_refused),
        cmocka_unit_test(unclosed_strings_are_refused),
        cmocka_unit_test(string_ends_at_its_first_quote),
        cmocka_unit_test(all_byte_pairs_stand_as_they_should),
        cmocka_unit_test(base64_vectors_decode),
        cmocka_unit_test(base64_that_is_not_strict_is_refused),
        cmocka_unit_test(base64_alphabet_is_exact_at_each_place),
        cmocka_unit_test(base64_string_is_scanned_to_its_quote),
        cmocka_unit_test(texts_without_bytes_need_no_memory),
        cmocka_unit_test(text_is_escaped_as_the_format_says),
        cmocka_unit_test(text_is_text_whatever_its_escapes_cost),
        cmocka_unit_test(text_with_nul_or_bad_utf8_is_base64),
        cmocka_unit_test(text_is_base64_only_beyond_its_bound),
        cmocka_unit_test(generated_bytes_come_back_in_every_form),
        cmocka_unit_test(text_that_changes_its_size_is_not_decoded),
        cmocka_unit_test(text_that_keeps_its_size_is_what_it_is_now),
        cmocka_unit_test(text_that_becomes_anything_stays_in_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
