/* SPDX-License-Identifier: MIT */

#include <kvstore.h>

#include <iostream>
#include <string>

int main(int argc, char **argv)
{
    kvstore *store = nullptr;
    void *value = nullptr;
    std::size_t value_size = 0;
    kvstore_options options = KVSTORE_OPTIONS_INIT;

    if (argc != 2 || kvstore_open(argv[1], &options, &store) != KVSTORE_OK ||
        kvstore_set(store, "user", 4, "Alice", 5) != KVSTORE_OK ||
        kvstore_get(store, "user", 4, &value, &value_size) != KVSTORE_OK) {
        std::cerr << kvstore_last_error()->message << '\n';
        return 1;
    }
    std::cout << std::string(static_cast<char *>(value), value_size) << '\n';
    kvstore_free(value);
    kvstore_close(store);
    return 0;
}
