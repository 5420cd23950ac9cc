# SPDX-License-Identifier: MIT
#
# The tests that docs/design.md and docs/crash-safety.md name are there:
# `file/test` means a test in tests/fault/test_file.c or tests/unit/test_file.c.

. "$(dirname "$0")/support.sh"
for document in design crash-safety; do
    named=$(grep -o '`[a-z_]*/[a-z_]*`' "$docs_source/docs/$document.md" |
        tr -d '`' | grep -v '^tests/' | sort -u)
    [ -n "$named" ] || docs_fail "docs/$document.md names no tests"
    for name in $named; do
        grep -q -s "^static void ${name#*/}(void \*\*state)" \
            "$docs_source/tests/fault/test_${name%/*}.c" \
            "$docs_source/tests/unit/test_${name%/*}.c" ||
            docs_fail "docs/$document.md names $name, which is no test"
    done
    echo "$(printf '%s\n' "$named" | wc -l) tests are where $document.md says"
done
