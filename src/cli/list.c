/* SPDX-License-Identifier: MIT */

/* kvstore list: prints the keys in order; to a pipe or a file their very bytes,
 * to a terminal in a form that cannot control it. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/store.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of the longest key in base64, and a NUL. */
#define BASE64_SIZE_MAX ((KVSTORE_KEY_SIZE_MAX + 2) / 3 * 4 + 1)

struct printer {
    bool is_json;
    bool is_visible; /* For a terminal. */
    char end;        /* Printed after each key. */
    bool has_failed; /* And this was reported. */
};

static bool print_bytes(const struct printer *printer,
                        const void *bytes,
                        size_t size)
{
    return (printer->is_visible ? cli_print_visible(bytes, size)
                                : cli_print_bytes(bytes, size)) &&
           cli_print_bytes(&printer->end, 1);
}

static void encode_base64(const unsigned char *bytes, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned group = (unsigned)bytes[i] << 16;
        group |= left > 1 ? (unsigned)bytes[i + 1] << 8 : 0u;
        group |= left > 2 ? (unsigned)bytes[i + 2] : 0u;
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63u];
        *out++ = left > 1 ? digits[group >> 6 & 63u] : '=';
        *out++ = left > 2 ? digits[group & 63u] : '=';
    }
    *out = '\0';
}

/* A string for a key that is text; else an object with its base64. NULL: there
 * was no memory. */
static cJSON *make_json(const void *key, size_t size)
{
    static char text[BASE64_SIZE_MAX];

    if (cli_is_text(key, size)) {
        memcpy(text, key, size);
        text[size] = '\0';
        return cJSON_CreateString(text);
    }
    encode_base64(key, size, text);
    cJSON *object = cJSON_CreateObject();
    if (cJSON_AddStringToObject(object, "key64", text) == NULL) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static bool print_json(const struct printer *printer,
                       const void *key,
                       size_t size)
{
    cJSON *json = make_json(key, size);
    char *line = json == NULL ? NULL : cJSON_PrintUnformatted(json);
    bool printed = false;

    if (line == NULL) {
        cli_tell("out of memory");
    } else {
        printed = print_bytes(printer, line, strlen(line));
    }
    cJSON_free(line);
    cJSON_Delete(json);
    return printed;
}

static bool print_key(void *context, const void *key, size_t size)
{
    struct printer *printer = context;
    bool printed = printer->is_json ? print_json(printer, key, size)
                                    : print_bytes(printer, key, size);

    printer->has_failed = !printed;
    return printed;
}

int cli_command_list(const struct cli_options *options,
                     int count,
                     char **operands)
{
    struct printer printer = {.is_json = options->json,
                              .is_visible = isatty(STDOUT_FILENO) == 1,
                              .end = options->null ? '\0' : '\n'};
    const char *prefix = count == 0 ? "" : operands[0];
    kvstore *store = NULL;

    if (options->json && options->null) {
        cli_tell("list: --json and --null exclude each other");
        return CLI_USAGE;
    }
    int result = cli_store_open(options, CLI_READ, &store);
    if (result != CLI_DONE) {
        return result;
    }
    kvstore_status status =
        kvstore_list(store, prefix, strlen(prefix), print_key, &printer);
    if (status != KVSTORE_OK) {
        result = cli_store_call_failed(options, "list", status);
    } else if (printer.has_failed) {
        result = CLI_FAILED;
    }
    cli_store_close(options, store);
    return result;
}
