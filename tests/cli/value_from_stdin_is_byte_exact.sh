# SPDX-License-Identifier: MIT
#
# With --stdin every byte of standard input is the value: no newline is added or lost, no
# byte is special.

. "$(dirname "$0")/support.sh"
awk 'BEGIN { for (i = 0; i < 256; i++) printf "\\0%03o", i }' >octal
printf %b "$(cat octal)" >every
[ "$(wc -c <every)" -eq 256 ] || fail 'the file of all bytes is wrong'
printf 'line\n' >line
printf 'line' >no_newline
printf '\n\n' >newlines
printf 'a\0b\0' >nuls
printf '\303(\377' >invalid_utf8
: >empty

for file in every line no_newline newlines nuls invalid_utf8 empty; do
    expect_status 0 kvstore set -i --allow-empty "$file" <"$file"
    expect_stdout
    expect_status 0 kvstore get --raw "$file"
    expect_stdout_of_file "$file"
    expect_stderr
    # The same through a pipe, and with one newline without --raw.
    cat "$file" | kvstore set --stdin --allow-empty piped
    { cat "$file"; echo; } >with_newline
    expect_status 0 kvstore get piped
    expect_stdout_of_file with_newline
done
