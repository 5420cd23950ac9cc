# SPDX-License-Identifier: MIT
#
# The default and relative names are relative to where the command runs.

. "$(dirname "$0")/support.sh"
mkdir here there
(cd here && kvstore set key here)
(cd there && kvstore set key there)

expect_status 0 kvstore -d here/data get key
expect_stdout here
cd there
expect_value key there
expect_status 0 kvstore -d ../here/data get key
expect_stdout here
cd ..
expect_status 3 kvstore get key
expect_no_store data
