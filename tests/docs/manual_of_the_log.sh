# SPDX-License-Identifier: MIT
#
# docs/kvstore-log.5 is true: its examples print what it says.

. "$(dirname "$0")/support.sh"
docs_manual "$docs_source/docs/kvstore-log.5" >"$docs_scratch/kvstore-log.5"
docs_replay "$docs_scratch/kvstore-log.5"
