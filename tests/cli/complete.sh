# SPDX-License-Identifier: MIT
#
# Sourced by the tests of the completions, whose argument is the shell: bash, zsh
# or fish. They are skipped where there is none, but not where
# KVSTORE_NEEDS_SHELLS says that there must be.

tests=$(cd "$(dirname "$0")" && pwd)
. "$tests/support.sh"
shell=$1
if ! command -v "$shell" >/dev/null; then
    [ -z "${KVSTORE_NEEDS_SHELLS:-}" ] || fail "there is no $shell"
    skip "there is no $shell"
fi
completions=$(cd "$tests/../../cmake/completions" && pwd)

# The shell finds the program, and has all the time that a busy machine needs.
mkdir "$scratch/bin" "$scratch/home"
ln -s "$KVSTORE" "$scratch/bin/kvstore"
printf '#!/bin/sh\nshift\nexec "$@"\n' >"$scratch/bin/timeout"
chmod +x "$scratch/bin/timeout"
export HOME="$scratch/home" PATH="$scratch/bin:$PATH" LC_ALL=C.UTF-8
