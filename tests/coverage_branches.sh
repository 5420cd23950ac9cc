#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Have the tests taken enough branches of the library? Those of src/ count, but
# for the program's: as they were built for the tests, and what the files that a
# test links with smaller sizes have taken of the same. An assertion has a branch
# that is never to be taken, and does not count. Prints the lines that have a
# branch which no test takes, the ten worst files, and the figure of all. What
# coverage-gaps.txt excuses counts as not taken; it is only told apart.
#
#     sh tests/coverage_branches.sh [GCOV [SOURCE_DIR [BINARY_DIR]]]

set -eu
GCOV=${1:-gcov}
SOURCE_DIR=$(cd "${2:-.}" && pwd)
BINARY_DIR=$(cd "${3:-build/coverage}" && pwd)
percent_min=95
gaps="$SOURCE_DIR/tests/coverage-gaps.txt"

# The usual build comes first, since it says which branches there are.
{
    find "$BINARY_DIR/CMakeFiles/kvstore_testing.dir/src" -name '*.gcda'
    find "$BINARY_DIR/tests" -path '*/src/*' -name '*.gcda'
} | while read -r data; do
    case $data in
    */kvstore_testing.dir/*) echo "build usual" ;;
    *) echo "build other" ;;
    esac
    (cd "${data%/*}" && "$GCOV" --stdout --branch-probabilities \
        --branch-counts "${data##*/}" 2>/dev/null)
done | awk -v root="$SOURCE_DIR/src/" -v gaps="$gaps" -v percent_min="$percent_min" '
    # coverage-gaps.txt: FILE:FUNCTION in the first column, or nothing there.
    BEGIN {
        while ((getline line < gaps) > 0) {
            if (line ~ /^[a-z]+\/[a-z_0-9]+\.[ch]:[a-z_0-9]+$/) {
                excused[line] = 1
            }
        }
    }
    /^build / { is_usual = $2 == "usual"; next }
    # A line of text: count:number:text; number 0 is about the file.
    /^ *[^ :]+: *0:Source:/ {
        file = $0
        sub(/^[^:]*: *0:Source:/, "", file)
        is_ours = index(file, root) == 1 && index(file, root "cli/") != 1
        file = substr(file, length(root) + 1)
        next
    }
    /^function / { called = $2; next }
    /^ *[^ :]+: *[0-9]+:/ {
        number = $0
        sub(/^[^:]*: */, "", number)
        text = number
        sub(/:.*/, "", number)
        sub(/^[0-9]*:/, "", text)
        is_assertion = text ~ /^ *assert\(/
        next
    }
    /^branch / && is_ours && !is_assertion {
        place = file ":" number ":" $2
        if (is_usual && !(place in is_taken)) {
            is_taken[place] = 0
            all++
            of_file[file]++
            of_line[file ":" number]++
            function_of[file ":" number] = file ":" called
        }
        if (place in is_taken && !is_taken[place] && $3 == "taken" && $4 > 0) {
            is_taken[place] = 1
            taken++
            taken_of_file[file]++
            taken_of_line[file ":" number]++
        }
    }
    END {
        if (all == 0) {
            print "no branch was found"
            exit 1
        }
        by_place = "sort -t: -k1,1 -k2,2n"
        print "Lines with branches that no test takes (* excused by coverage-gaps.txt):"
        fflush()
        for (line in of_line) {
            if (taken_of_line[line] < of_line[line]) {
                name = function_of[line]
                sub(/^.*:/, "", name)
                printf "%s: %s: %d of %d%s\n", line, name, taken_of_line[line],
                    of_line[line], function_of[line] in excused ? " *" : "" | by_place
            }
        }
        close(by_place)
        print "\nThe ten worst files:"
        fflush()
        worst = "sort -k1,1n | head -n 10"
        for (file in of_file) {
            printf "%5.1f %%  %s  %d of %d\n",
                100 * taken_of_file[file] / of_file[file], file,
                taken_of_file[file], of_file[file] | worst
        }
        close(worst)
        for (line in of_line) {
            missed = of_line[line] - taken_of_line[line]
            if (function_of[line] in excused) {
                excused_branches += missed
            }
        }
        percent = 100 * taken / all
        printf "\nbranches: %d of %d, %.1f %%; %d of the others are excused\n",
            taken, all, percent, excused_branches
        if (percent < percent_min) {
            printf "fewer than %s %% were taken\n", percent_min
            exit 1
        }
    }'
