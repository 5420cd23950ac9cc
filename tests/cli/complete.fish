# SPDX-License-Identifier: MIT
#
# Prints what fish offers for each line of standard input: LINE<TAB>WORD.
# Usage: fish --no-config complete.fish FOLDER, the folder of kvstore.fish.

source $argv[1]/kvstore.fish
while read -l line
    set -l words (complete -C $line | string replace -r '\t.*' '')
    set -q words[1]; or set words ''
    for word in $words
        printf '%s\t%s\n' $line $word
    end
end
