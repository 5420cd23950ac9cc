/* SPDX-License-Identifier: MIT */

/* A fresh directory for each test, and the files in it. A call that fails fails
 * the test. */

#ifndef STORE_DIR_H
#define STORE_DIR_H

#include "log_text.h"
#include "os/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct store_dir {
    char path[256];
    struct kv_io_file directory; /* The same, open. */
};

/* A cmocka test that gets such a directory as its state; it is removed
 * afterwards with all that is in it. */
#define STORE_TEST(test) \
    cmocka_unit_test_setup_teardown(test, store_dir_set_up, store_dir_tear_down)
int store_dir_set_up(void **state);
int store_dir_tear_down(void **state);

/* Returns the path of a name in the directory; valid until the next call. */
const char *store_dir_path(const struct store_dir *dir, const char *name);

bool store_dir_has(const struct store_dir *dir, const char *name);
uint64_t store_dir_file_size(const struct store_dir *dir, const char *name);

/* Returns the bytes of a file; the caller frees them. One NUL follows. */
char *store_dir_read(const struct store_dir *dir,
                     const char *name,
                     size_t *size_out);

/* Replaces a file's bytes, in place; creates it if it is absent. */
void store_dir_write(const struct store_dir *dir,
                     const char *name,
                     const void *bytes,
                     size_t size);

/* As another program would: through a descriptor of its own. */
void store_dir_append(const struct store_dir *dir,
                      const char *name,
                      const void *bytes,
                      size_t size);
void store_dir_overwrite(const struct store_dir *dir,
                         const char *name,
                         uint64_t offset,
                         const void *bytes,
                         size_t size);
void store_dir_truncate(const struct store_dir *dir,
                        const char *name,
                        uint64_t size);

/* Write store.log from a text, and compare a file with bytes or a text. */
void store_dir_write_log(const struct store_dir *dir,
                         const struct log_text *text);
void store_dir_assert_file(const struct store_dir *dir,
                           const char *name,
                           const char *bytes,
                           size_t size);
void store_dir_assert_log(const struct store_dir *dir,
                          const struct log_text *text);

#endif
