/* SPDX-License-Identifier: MIT */

/* Runs a fuzz target over the inputs that are kept, without libFuzzer:
 *
 *     replay [-k LIST] FILE-OR-FOLDER...
 *
 * LIST has a line for each input that is known to fail: its folder and name,
 * and the reason. These are left out; a listed input that is missing is an
 * error, so that the list does not outlive them. */

#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 1024
#define KNOWN_MAX 64

struct replay {
    char known[KNOWN_MAX][256]; /* FOLDER/NAME */
    bool is_met[KNOWN_MAX];
    size_t known_count;
    unsigned long count;
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void read_list(struct replay *replay, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        die(path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        size_t size = strcspn(line, " \t\n");
        if (line[0] == '#' || size == 0) {
            continue;
        }
        if (replay->known_count == KNOWN_MAX ||
            size >= sizeof replay->known[0]) {
            die("too long a list");
        }
        (void)snprintf(replay->known[replay->known_count++],
                       sizeof replay->known[0],
                       "%.*s",
                       (int)size,
                       line);
    }
    (void)fclose(file);
}

static bool is_known(struct replay *replay, const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < replay->known_count; i++) {
        size_t known_size = strlen(replay->known[i]);
        if (size > known_size && path[size - known_size - 1] == '/' &&
            strcmp(path + size - known_size, replay->known[i]) == 0) {
            replay->is_met[i] = true;
            return true;
        }
    }
    return false;
}

static void run_file(struct replay *replay, const char *path)
{
    if (is_known(replay, path)) {
        (void)printf("left out: %s\n", path);
        return;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        die(path);
    }
    long end = ftell(file);
    rewind(file);
    size_t size = end < 0 ? 0 : (size_t)end;
    uint8_t *bytes = fuzz_allocate(size);
    if (end < 0 || fread(bytes, 1, size, file) != size) {
        die(path);
    }
    (void)fclose(file);
    (void)printf("%s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    replay->count++;
}

/* Runs over a folder of files; false: it is none. */
static bool run_folder(struct replay *replay, const char *path)
{
    char file[PATH_SIZE];
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return false;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            run_file(replay, file);
        }
    }
    (void)closedir(folder);
    return true;
}

int main(int argc, char **argv)
{
    static struct replay replay;
    int first = 1;
    (void)LLVMFuzzerInitialize(&argc, &argv);
    if (argc > 2 && strcmp(argv[1], "-k") == 0) {
        read_list(&replay, argv[2]);
        first = 3;
    }
    for (int i = first; i < argc; i++) {
        if (!run_folder(&replay, argv[i])) {
            run_file(&replay, argv[i]);
        }
    }
    for (size_t i = 0; i < replay.known_count; i++) {
        if (first == 3 && !replay.is_met[i] && argc > first + 1) {
            (void)fprintf(stderr, "not there: %s\n", replay.known[i]);
            return EXIT_FAILURE;
        }
    }
    (void)printf("%lu inputs\n", replay.count);
    return replay.count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
