# SPDX-License-Identifier: MIT
#
# mandoc has nothing to say against the pages of the manual. Skipped where there
# is no mandoc, but not where KVSTORE_NEEDS_MANDOC says that there must be.

. "$(dirname "$0")/support.sh"
if ! command -v mandoc >/dev/null; then
    [ -z "${KVSTORE_NEEDS_MANDOC:-}" ] || docs_fail 'there is no mandoc'
    docs_skip 'there is no mandoc'
fi

cd "$docs_source/docs" || exit 1
for page in *.[1-9]; do
    mandoc -T lint "$page" >"$docs_scratch/found" 2>&1
    [ ! -s "$docs_scratch/found" ] || {
        cat "$docs_scratch/found" >&2
        docs_fail "mandoc complains about $page"
    }
done
