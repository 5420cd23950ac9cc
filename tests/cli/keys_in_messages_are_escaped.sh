# SPDX-License-Identifier: MIT
#
# A key in a message can neither command a terminal nor forge a second line.

. "$(dirname "$0")/support.sh"
kvstore set key value

# told BYTES TEXT: a missing key of these bytes is named as TEXT.
told() {
    bytes=$(printf "$1@")
    bytes=${bytes%@}
    expect_status 1 kvstore get "$bytes"
    expect_stderr "kvstore: key not found: $2"
    expect_status 1 kvstore rm "$bytes"
    expect_stderr "kvstore: key not found: $2"
}

told 'a\nkvstore: b\t' 'a\x0akvstore: b\x09'
told '\033[2J\177' '\x1b[2J\x7f'
told 'back\\slash' 'back\\slash'
told '\302\233x' '\xc2\x9bx'
told '\342\200\256x' '\xe2\x80\xaex'
told '\377\303' '\xff\xc3'
told 'Zo\303\253 \342\230\203' 'Zoë ☃'
told '%%s%%n' '%s%n'
