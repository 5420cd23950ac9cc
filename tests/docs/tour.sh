# SPDX-License-Identifier: MIT
#
# docs/tour.md is true: its commands print what it says.

. "$(dirname "$0")/support.sh"
docs_replay "$docs_source/docs/tour.md"
