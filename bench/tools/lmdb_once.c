/* SPDX-License-Identifier: MIT */

/* The smallest command that reads or sets one key of an LMDB store, since LMDB
 * has none: lmdb_once DIR KEY [VALUE]. A set is not synced. */

#include <lmdb.h>
#include <stdio.h>
#include <string.h>

static int use(MDB_env *env, char **arguments, int is_set)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    MDB_val key = {strlen(arguments[2]), arguments[2]};
    MDB_val value;
    if (mdb_txn_begin(env, NULL, is_set ? 0 : MDB_RDONLY, &txn) != 0 ||
        mdb_dbi_open(txn, NULL, 0, &dbi) != 0) {
        return 3;
    }
    if (is_set) {
        value = (MDB_val){strlen(arguments[3]), arguments[3]};
        return mdb_put(txn, dbi, &key, &value, 0) != 0 ||
                       mdb_txn_commit(txn) != 0
                   ? 3
                   : 0;
    }
    if (mdb_get(txn, dbi, &key, &value) != 0) {
        return 1;
    }
    (void)printf("%.*s\n", (int)value.mv_size, (const char *)value.mv_data);
    return 0;
}

int main(int argc, char **argv)
{
    MDB_env *env = NULL;
    if (argc < 3 || mdb_env_create(&env) != 0) {
        return 2;
    }
    /* If we set no map size, the store's is used. */
    unsigned flags = argc > 3 ? MDB_NOSYNC : MDB_RDONLY;
    if (mdb_env_open(env, argv[1], flags, 0600) != 0) {
        return 3;
    }
    return use(env, argv, argc > 3);
}
