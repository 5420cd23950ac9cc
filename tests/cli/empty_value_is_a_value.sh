# SPDX-License-Identifier: MIT
#
# An empty value is there, unlike a missing key.

. "$(dirname "$0")/support.sh"

expect_status 0 kvstore set operand ''
expect_status 0 kvstore set --stdin --allow-empty input </dev/null
for key in operand input; do
    expect_value "$key" ''
    expect_status 0 kvstore get -r "$key"
    expect_stdout
done
