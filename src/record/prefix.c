/* SPDX-License-Identifier: MIT */

/* Follows a canonical line byte by byte. It is a row of names, each with a text
 * or a number after it, and what comes first shows what may come next. */

#include "record/prefix.h"

#include "record/names.h"

enum form {
    FORM_START,
    FORM_SET_KEY,
    FORM_REMOVE_KEY,
    FORM_VALUE,
    FORM_EXPIRES,
    FORM_BATCH,
    FORM_SUM,
    FORM_END
};

#define AFTER(form) (1u << (form))
#define AFTER_VALUE (AFTER(FORM_VALUE) | AFTER(FORM_EXPIRES))
#define AFTER_RECORD (AFTER_VALUE | AFTER(FORM_REMOVE_KEY) | AFTER(FORM_BATCH))

#define SUM_MEMBER ",\"sum\":\""

static const struct {
    const char *name;
    unsigned after;
    enum form form;
} line_names[] = {
    {SET_HEAD KEY_NAME, AFTER(FORM_START), FORM_SET_KEY},
    {SET_HEAD KEY64_NAME, AFTER(FORM_START), FORM_SET_KEY},
    {REMOVE_HEAD KEY_NAME, AFTER(FORM_START), FORM_REMOVE_KEY},
    {REMOVE_HEAD KEY64_NAME, AFTER(FORM_START), FORM_REMOVE_KEY},
    {VAL_NAME, AFTER(FORM_SET_KEY), FORM_VALUE},
    {VALUE_NAME, AFTER(FORM_SET_KEY), FORM_VALUE},
    {VAL64_NAME, AFTER(FORM_SET_KEY), FORM_VALUE},
    {EXPIRES_NAME, AFTER(FORM_VALUE), FORM_EXPIRES},
    {BATCH_NAME, AFTER_VALUE | AFTER(FORM_REMOVE_KEY), FORM_BATCH},
    {SUM_MEMBER, AFTER_RECORD, FORM_SUM},
    {TAIL, AFTER_RECORD | AFTER(FORM_SUM), FORM_END},
};

#define NAME_COUNT (sizeof line_names / sizeof *line_names)

/* What was read last is over. */
static void go_on(struct kv_record_prefix *prefix)
{
    prefix->is_named = false;
    prefix->names = 0;
    prefix->at = 0;
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if ((line_names[i].after & AFTER(prefix->form)) != 0) {
            prefix->names |= 1u << i;
        }
    }
}

struct kv_record_prefix kv_record_prefix_begin(void)
{
    struct kv_record_prefix prefix = {.form = FORM_START};
    go_on(&prefix);
    return prefix;
}

/* Drops the names that do not go on like this. */
static bool take_of_name(struct kv_record_prefix *prefix, char byte)
{
    size_t at = prefix->at++;
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if ((prefix->names & 1u << i) == 0) {
            continue;
        }
        if (line_names[i].name[at] != byte) {
            prefix->names &= ~(1u << i);
        } else if (line_names[i].name[at + 1] == '\0') {
            /* No name begins with another one. */
            prefix->form = (int)line_names[i].form;
            prefix->is_named = prefix->form != FORM_END;
            prefix->names = 0;
            return true;
        }
    }
    return prefix->names != 0;
}

/* Of a text that holds anything but control characters. */
static bool take_of_text(struct kv_record_prefix *prefix, char byte)
{
    bool is_quoted = prefix->is_quoted;
    prefix->is_quoted = !is_quoted && byte == '\\';
    if (byte == '"' && !is_quoted) {
        go_on(prefix);
    }
    return (unsigned char)byte >= 0x20;
}

bool kv_record_prefix_take(struct kv_record_prefix *prefix, char byte)
{
    bool is_number = prefix->form == FORM_EXPIRES || prefix->form == FORM_BATCH;
    if (prefix->is_named && !is_number) {
        return take_of_text(prefix, byte);
    }
    if (prefix->is_named && byte >= '0' && byte <= '9') {
        return true;
    }
    if (prefix->is_named) {
        go_on(prefix);
    }
    return take_of_name(prefix, byte);
}
