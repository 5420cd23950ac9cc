/* SPDX-License-Identifier: MIT */

int host_store_and_print(const char *dir);

int main(int argc, char **argv)
{
    return argc == 2 ? host_store_and_print(argv[1]) : 1;
}
