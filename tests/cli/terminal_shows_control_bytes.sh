# SPDX-License-Identifier: MIT
#
# On a terminal a stored value cannot clear the screen, set a title or turn the
# direction of writing; ordinary text, tab and newline pass.

. "$(dirname "$0")/support.sh"
need_terminal

# shown KEY BYTES TEXT: the value BYTES, in printf's form, appears as TEXT.
shown() {
    printf "$2" | kvstore set --stdin "$1"
    expect_status 0 on_terminal "\"\$KVSTORE\" get $1"
    expect_stdout "$3"
}

shown plain 'Zo\303\253 \342\230\203 \360\237\230\200' 'Zoë ☃ 😀'
shown blank 'a\tb\nc' "$(printf 'a\tb\nc')"
shown backslash 'a\\x1bb' 'a\x1bb'
shown c0 'a\000\001\r\033[31m\037b' 'a\x00\x01\x0d\x1b[31m\x1fb'
shown del 'a\177b' 'a\x7fb'
shown c1 '\302\200\302\233\302\237\302\240' \
    "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f$(printf '\302\240')"
shown alm 'a\330\234b' 'a\xd8\x9cb'
shown marks '\342\200\216\342\200\217' '\xe2\x80\x8e\xe2\x80\x8f'
shown embeddings '\342\200\252\342\200\256' '\xe2\x80\xaa\xe2\x80\xae'
shown isolates '\342\201\246\342\201\251' '\xe2\x81\xa6\xe2\x81\xa9'
shown beside '\342\200\215\342\200\220\342\200\251\342\200\257' \
    "$(printf '\342\200\215\342\200\220\342\200\251\342\200\257')"
shown raw_c1 '\233\377' '\x9b\xff'
shown overlong '\300\200\340\200\200' '\xc0\x80\xe0\x80\x80'
shown surrogate '\355\240\200' '\xed\xa0\x80'
shown too_high '\364\220\200\200' '\xf4\x90\x80\x80'
shown cut '\342\230' '\xe2\x98'
shown mixed '\342\230x\303\253' '\xe2\x98xë'
