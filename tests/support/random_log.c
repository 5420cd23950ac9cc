/* SPDX-License-Identifier: MIT */

/* Each kind of piece has its maker. One maker in four damages a line that
 * another one has made. */

#include "random_log.h"

#include "configuration_set.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RUN_PRINTED 12 /* A longer run is printed as its count. */

const char *const random_log_keys[RANDOM_LOG_KEYS] =
    {"a", "b", "c", "d", "e", "fill", "told", "\xff\x01"};

uint64_t random_log_below(uint64_t *random_state, uint64_t bound)
{
    uint64_t mixed = *random_state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (mixed ^ mixed >> 31) % bound;
}

/* Must not occur twice in the arguments of one call: their order is up to the
 * compiler. */
static uint64_t dice(struct random_log *log, uint64_t bound)
{
    return random_log_below(&log->random_state, bound);
}

/* --- Adding pieces --- */

static struct random_piece *add(struct random_log *log,
                                const void *bytes,
                                size_t size)
{
    if (log->count == RANDOM_LOG_PIECES) {
        return NULL;
    }
    struct random_piece *piece = &log->pieces[log->count++];
    piece->bytes = checked_calloc(size + 1, 1);
    piece->size = size;
    if (size > 0) {
        memcpy(piece->bytes, bytes, size);
    }
    log->size += size;
    return piece;
}

static void fill(struct random_log *log, char byte, size_t count, bool ends)
{
    char *bytes = checked_calloc(count + 2, 1);
    memset(bytes, byte, count);
    bytes[count] = '\n';
    (void)add(log, bytes, count + (ends ? 1 : 0));
    free(bytes);
}

__attribute__((format(printf, 2, 3))) static struct random_piece *add_text(
    struct random_log *log,
    const char *format,
    ...)
{
    static char text[8192];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return add(log, text, (size_t)size);
}

/* Adds a line that ends in a comma, with a sum that fits, and its end. */
__attribute__((format(printf, 2, 3))) static struct random_piece *add_summed(
    struct random_log *log,
    const char *format,
    ...)
{
    static char text[8192];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text - 32, format, arguments);
    va_end(arguments);
    unsigned sum = (unsigned)(uint32_t)XXH3_64bits(text, (size_t)size);
    size += snprintf(text + size, 32, "\"sum\":\"%08x\"}}\n", sum);
    return add(log, text, (size_t)size);
}

/* --- Sound lines --- */

static const char *any_key(struct random_log *log)
{
    return random_log_keys[dice(log, 5)];
}

/* Returns a value, rarely a long one: a line of 4,095 bytes or more is
 * measured. */
static const char *any_value(struct random_log *log)
{
    static char value[6000];
    size_t size = (size_t)snprintf(
        value, sizeof value, "v%u", (unsigned)dice(log, 100000));
    size_t more = dice(log, 12) == 0 ? (size_t)dice(log, 600) : 0;
    if (dice(log, 60) == 0) {
        more = 3990 + (size_t)dice(log, 200);
    }
    memset(value + size, 'x', more);
    value[size + more] = '\0';
    return value;
}

static void canonical_set(struct random_log *log)
{
    const char *key = any_key(log);
    (void)add_summed(
        log, "{\"Set\":{\"key\":\"%s\",\"val\":\"%s\",", key, any_value(log));
}

static void set_without_sum(struct random_log *log)
{
    const char *end = dice(log, 4) == 0 ? "\r\n" : "\n";
    const char *key = any_key(log);
    (void)add_text(log,
                   "{\"Set\":{\"key\":\"%s\",\"val\":\"%s\"}}%s",
                   key,
                   any_value(log),
                   end);
}

static void canonical_remove(struct random_log *log)
{
    (void)add_summed(log, "{\"Remove\":{\"key\":\"%s\",", any_key(log));
}

static void remove_without_sum(struct random_log *log)
{
    (void)add_text(log, "{\"Remove\":{\"key\":\"%s\"}}\n", any_key(log));
}

static void foreign_set(struct random_log *log)
{
    static const char *const layouts[] = {
        "{ \"Set\" : { \"value\" : \"%s\" , \"key\" : \"%s\" } }\n",
        "\t{\"Set\":{\"val\":\"%s\",\"who\":[1,{}],\"key\":\"%s\"}}\n",
        "{\"note\":\"n\",\"Set\":{\"val\":\"%s\",\"key\":\"%s\"}}  \n",
        "{\"Set\":{\"val\":\"\\u0041%s\",\"key\":\"%s\"}}\n"};
    static char text[8192];
    const char *key = any_key(log);
    const char *value = any_value(log);
    const char *layout = layouts[dice(log, 4)];
    /* By hand, since formats must not be chosen at run time. */
    const char *first = strstr(layout, "%s");
    const char *second = strstr(first + 2, "%s");
    int size = snprintf(text,
                        sizeof text,
                        "%.*s%s%.*s%s%s",
                        (int)(first - layout),
                        layout,
                        value,
                        (int)(second - first - 2),
                        first + 2,
                        key,
                        second + 2);
    (void)add(log, text, (size_t)size);
}

static void key_in_base64(struct random_log *log)
{
    if (dice(log, 3) == 0) {
        (void)add_summed(log, "{\"Remove\":{\"key64\":\"/wE=\",");
        return;
    }
    (void)add_summed(log,
                     "{\"Set\":{\"key64\":\"%s\",\"val64\":\"//4=\",",
                     dice(log, 2) == 0 ? "/wE=" : "YQ==");
}

static void sum_and_cr(struct random_log *log)
{
    struct random_piece *piece = add_summed(
        log, "{\"Set\":{\"key\":\"%s\",\"val\":\"v\",", any_key(log));
    if (piece != NULL) {
        char *bytes = checked_calloc(piece->size + 2, 1);
        memcpy(bytes, piece->bytes, piece->size - 1);
        memcpy(bytes + piece->size - 1, "\r\n", 2);
        free(piece->bytes);
        piece->bytes = bytes;
        piece->size++;
        log->size++;
    }
}

static void expiring_set(struct random_log *log)
{
    const char *when = dice(log, 2) == 0 ? "1000" : "4000000000000";
    const char *key = any_key(log);
    (void)add_summed(log,
                     "{\"Set\":{\"key\":\"%s\",\"val\":\"%s\",\"expires\":%s,",
                     key,
                     any_value(log),
                     when);
}

static void unknown_variant(struct random_log *log)
{
    if (dice(log, 2) == 0) {
        (void)add_text(log, "{\"Rename\":{\"key\":\"%s\"}}\n", any_key(log));
    } else if (dice(log, 4) == 0) {
        (void)add_summed(
            log, "{\"Rename\":{\"key\":\"%s\",\"to\":\"x\",", any_key(log));
    }
}

static void batch_line(struct random_log *log, unsigned number)
{
    const char *key = any_key(log);
    if (dice(log, 4) == 0) {
        (void)add_summed(
            log, "{\"Remove\":{\"key\":\"%s\",\"batch\":%u,", key, number);
    } else {
        (void)add_summed(
            log,
            "{\"Set\":{\"key\":\"%s\",\"val\":\"%s\",\"batch\":%u,",
            key,
            any_value(log),
            number);
    }
}

static void whole_batch(struct random_log *log)
{
    for (unsigned i = 1 + (unsigned)dice(log, 3); i > 0; i--) {
        batch_line(log, i);
    }
}

/* --- Lines that mean nothing --- */

static void blank_line(struct random_log *log)
{
    static const size_t counts[] = {0, 1, 3, 63, 64, 65, 511, 512, 600};
    static const char bytes[] = {' ', '\t', '\t', '\r'};
    char byte = bytes[dice(log, 4)];
    size_t count = counts[dice(log, 9)];
    fill(log, byte, count, dice(log, 8) != 0);
}

/* Lets the next piece begin near a multiple of 512, rarely of 65,536. */
static void up_to_a_multiple(struct random_log *log)
{
    size_t unit = dice(log, 12) == 0 ? 65536 : 512;
    size_t target = (log->size / unit + 1) * unit + (size_t)dice(log, 3) - 1;
    static const char head[] = "{\"Set\":{\"key\":\"fill\",\"val\":\"";
    size_t least = sizeof head - 1 + 4;
    while (target < log->size + least) {
        target += unit;
    }
    size_t size = target - log->size;
    if (dice(log, 3) == 0) {
        fill(log, '\t', size - 1, true);
        return;
    }
    char *line = checked_calloc(size + 1, 1);
    memset(line, 'f', size);
    memcpy(line, head, sizeof head - 1);
    memcpy(line + size - 4, "\"}}\n", 4);
    (void)add(log, line, size);
    free(line);
}

/* --- Damage --- */

static void nul_run(struct random_log *log)
{
    static const size_t counts[] = {1, 2, 20, 511, 512, 513, 1024, 4096};
    size_t count = counts[dice(log, 8)];
    fill(log, '\0', count, dice(log, 2) == 0);
}

static void garbage(struct random_log *log)
{
    static const char *const lines[] = {
        "{\"Set\":{\"key\":\"told\",\"val\":1}}\n",
        "{\"Set\":{\"key\":\"a\",\"val\":1}}\n",
        "{\"Set\":{\"key\":\"b\",\"val\":\"v\",\"sum\":\"00000000\"}}\n",
        "{\"Set\":{\"key\":\"a\",\"key\":\"a\",\"val\":\"v\"}}\n",
        "{\"Set\":{\"key\":\"a\",\"val\":\"v\"},\"Remove\":{\"key\":\"a\"}}\n",
        "{\"Remove\":{\"key\":\"c\",\"sum\":\"00000000\"}}\n",
        "{\"Set\":{\"key\":\"d\",\"val\":\"v\",\"batch\":0}}\n",
        "{\"Set\":{\"key64\":\"YQ\",\"val\":\"v\"}}\n",
        "{\"Set\":{\"key\":\"e\",\"val\":\"unfin",
        "{\"Set\":{\"key\":\"e\",\"val\":\"unfin\n",
        "\"key\":\"a\",\"val\":\"v\"}}\n",
        "\t\"Set\":{\"key\":\"a\",\"val\":\"v\"}}\n",
        "{}\n",
        "{garbage}\n",
        "garbage\n",
        "garbage",
        "[]\n",
        "{\"set\":{\"key\":\"a\"}}\n",
        "{\"a\":1}\n",
        "}\n",
        "{",
        "\xef\xbb\xbf{\"Set\":{\"key\":\"a\",\"val\":\"v\"}}\n"};
    const char *line = lines[dice(log, sizeof lines / sizeof lines[0])];
    (void)add(log, line, strlen(line));
}

#define BYTES(text) \
    { \
        (text), sizeof(text) - 1 \
    }

static void nul_in_a_line(struct random_log *log)
{
    static const struct {
        const char *bytes;
        size_t size;
    } lines[] = {BYTES("x\0{"),
                 BYTES("x\0{\"Set\":{\"key\":\"a\",\"val\":\"in\"}}\n"),
                 BYTES("{\"Set\":{\"key\":\"a\",\"v\0\0l\":\"v\"}}\n"),
                 BYTES("{\"Set\":{\"key\":\"a\0\0\n"),
                 BYTES("\0\0{\"Set\":{\"key\":\"b\",\"val\":\"in\"}}\n"),
                 BYTES("x\0\0\n")};
    size_t number = (size_t)dice(log, 6);
    (void)add(log, lines[number].bytes, lines[number].size);
}

static void broken_batch(struct random_log *log)
{
    unsigned size = 2 + (unsigned)dice(log, 3);
    unsigned missing = 1 + (unsigned)dice(log, size);
    for (unsigned i = size; i > 0; i--) {
        if (i != missing) {
            batch_line(log, i);
        }
    }
}

static void sound_line_inside(struct random_log *log)
{
    (void)add_text(log,
                   "{\"Set\":{\"key\":\"%s\",\"val\":\"{\"Set\":{\"key\":"
                   "\"b\",\"val\":\"inside\"}}\n",
                   any_key(log));
}

/* Flips a bit of the last piece, puts NULs or tabs in place of some of its
 * bytes, or cuts off its end. */
static void break_last(struct random_log *log)
{
    if (log->count == 0 || log->pieces[log->count - 1].size < 4) {
        return;
    }
    struct random_piece *piece = &log->pieces[log->count - 1];
    size_t at = (size_t)dice(log, piece->size);
    size_t count = 1 + (size_t)dice(log, piece->size - at);
    switch (dice(log, 5)) {
    case 0:
    case 1:
        piece->bytes[at] = (char)(piece->bytes[at] ^ (1 << dice(log, 8)));
        break;
    case 2:
        memset(piece->bytes + at, 0, count);
        break;
    case 3:
        memset(piece->bytes + at, '\t', count);
        break;
    default:
        log->size -= piece->size - at;
        piece->size = at;
        break;
    }
}

typedef void maker(struct random_log *log);

static maker *const makers[] = {canonical_set,    canonical_set,
                                canonical_set,    canonical_set,
                                canonical_set,    set_without_sum,
                                set_without_sum,  canonical_remove,
                                canonical_remove, remove_without_sum,
                                foreign_set,      key_in_base64,
                                sum_and_cr,       expiring_set,
                                unknown_variant,  whole_batch,
                                whole_batch,      blank_line,
                                blank_line,       up_to_a_multiple,
                                nul_run,          garbage,
                                garbage,          nul_in_a_line,
                                broken_batch,     sound_line_inside};

void random_log_make(struct random_log *log, uint64_t seed)
{
    *log = (struct random_log){.random_state = seed};
    size_t wanted = 1 + (size_t)dice(log, 10);
    bool is_sound = dice(log, 6) == 0;
    while (wanted > 0) {
        maker *make = makers[dice(log, is_sound ? 18 : 26)];
        make(log);
        if (!is_sound && dice(log, 6) == 0) {
            break_last(log);
        }
        wanted--;
    }
    /* The last line often lacks its end. */
    if (log->count > 0 && log->pieces[log->count - 1].size > 0 &&
        dice(log, 5) == 0) {
        log->pieces[log->count - 1].size--;
        log->size--;
    }
}

/* --- Whole logs --- */

void random_log_release(struct random_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->pieces[i].bytes);
    }
    *log = (struct random_log){.count = 0};
}

void random_log_without(const struct random_log *log,
                        size_t piece,
                        struct random_log *log_out)
{
    *log_out = (struct random_log){.count = 0};
    for (size_t i = 0; i < log->count; i++) {
        if (i != piece) {
            (void)add(log_out, log->pieces[i].bytes, log->pieces[i].size);
        }
    }
}

char *random_log_join(const struct random_log *log)
{
    char *bytes = checked_calloc(log->size + 1, 1);
    size_t size = 0;
    for (size_t i = 0; i < log->count; i++) {
        memcpy(bytes + size, log->pieces[i].bytes, log->pieces[i].size);
        size += log->pieces[i].size;
    }
    return bytes;
}

static void print_byte(FILE *stream, unsigned char byte)
{
    if (byte == '\n') {
        (void)fputs("\\n", stream);
    } else if (byte == '\\') {
        (void)fputs("\\\\", stream);
    } else if (byte < 0x20 || byte > 0x7e) {
        (void)fprintf(stream, "\\%03o", byte);
    } else {
        (void)fputc(byte, stream);
    }
}

static void print_piece(FILE *stream, const struct random_piece *piece)
{
    size_t at = 0;
    while (at < piece->size) {
        size_t run = 1;
        while (at + run < piece->size &&
               piece->bytes[at + run] == piece->bytes[at]) {
            run++;
        }
        print_byte(stream, (unsigned char)piece->bytes[at]);
        if (run > RUN_PRINTED) {
            (void)fprintf(stream, "<%zu of these>", run);
            at += run;
        } else {
            at++;
        }
    }
}

void random_log_print(FILE *stream, const struct random_log *log)
{
    size_t offset = 0;
    for (size_t i = 0; i < log->count; i++) {
        (void)fprintf(stream, "  %6zu  ", offset);
        print_piece(stream, &log->pieces[i]);
        (void)fputc('\n', stream);
        offset += log->pieces[i].size;
    }
}
