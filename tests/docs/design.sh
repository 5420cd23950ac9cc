# SPDX-License-Identifier: MIT
#
# The tests that docs/design.md names are there: `file/test` stands for a test
# in tests/fault/test_file.c or tests/unit/test_file.c.

. "$(dirname "$0")/support.sh"
named=$(grep -o '`[a-z_]*/[a-z_]*`' "$docs_source/docs/design.md" |
    tr -d '`' | grep -v '^tests/' | sort -u)
[ -n "$named" ] || docs_fail 'docs/design.md names no tests'
for name in $named; do
    grep -q -s "^static void ${name#*/}(void \*\*state)" \
        "$docs_source/tests/fault/test_${name%/*}.c" \
        "$docs_source/tests/unit/test_${name%/*}.c" ||
        docs_fail "docs/design.md names $name, which is no test"
done
echo "$(printf '%s\n' "$named" | wc -l) tests are where design.md says"
