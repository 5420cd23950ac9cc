# SPDX-License-Identifier: MIT
#
# docs/format.md is true: its examples print what it says.

. "$(dirname "$0")/support.sh"
docs_replay "$docs_source/docs/format.md"
