/* SPDX-License-Identifier: MIT */

/* Pairs of log and index, with checked outcomes. */

#include "index_pair.h"

#include "index/apply.h"
#include "index/build.h"

#include <string.h>

struct pair open_pair(const struct store_dir *dir)
{
    struct pair pair;
    struct kv_fold_result result;
    assert_int_equal(kv_log_open(&dir->directory, true, &pair.log), KVSTORE_OK);
    assert_int_equal(kv_build_index(&pair.log,
                                    store_dir_file_size(dir, KV_LOG_NAME),
                                    NULL,
                                    NULL,
                                    &pair.index,
                                    &result),
                     KVSTORE_OK);
    return pair;
}

struct pair make_pair(void **state, struct log_text *text)
{
    const struct store_dir *dir = *state;
    store_dir_write_log(dir, text);
    log_text_release(text);
    return open_pair(dir);
}

void close_pair(struct pair *pair)
{
    kv_index_release(&pair->index);
    kv_log_close(&pair->log);
}

kvstore_status apply_line(struct pair *pair, const struct kv_fold_item *item)
{
    struct kv_table_slot slot;
    bool is_new = false;
    kvstore_status status = KVSTORE_OK;
    if (kv_index_is_indexed(item)) {
        status = kv_index_make_slot(&pair->index.table, item, &slot);
    }
    if (status == KVSTORE_OK && kv_index_is_indexed(item)) {
        status = kv_index_put_slot(&pair->index, &pair->log, slot, &is_new);
    }
    return status == KVSTORE_OK ? kv_index_count_line(&pair->index, item)
                                : status;
}

void assert_found(const struct pair *pair,
                  const char *key,
                  uint64_t offset,
                  uint64_t damage_offset)
{
    struct kv_index_find find;
    assert_int_equal(
        kv_index_find(&pair->index, &pair->log, key, strlen(key), &find),
        KVSTORE_OK);
    assert_int_equal(find.is_found ? find.pointer.offset : NOWHERE, offset);
    assert_int_equal(find.damage_offset, damage_offset);
    assert_int_equal(find.doubt_offset, NOWHERE);
    kv_index_find_release(&find);
}

bool matches(const struct pair *pair)
{
    bool matches = false;
    assert_int_equal(kv_index_matches(&pair->index, &pair->log, &matches),
                     KVSTORE_OK);
    return matches;
}
