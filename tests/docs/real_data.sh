# SPDX-License-Identifier: MIT
#
# The main job with real data: every installed package with its description and
# every licence text goes in through the command, comes back byte for byte, and
# is the same for jq. Then loaders are killed, and nothing acknowledged is lost.

. "$(dirname "$0")/support.sh"
set -eu

record_count_min=400
package_count_max=450 # So that it takes seconds on any machine.
round_count=20

# --- The records: files N.key and N.value ---

mkdir records
count=0

# Reads the value from standard input.
add_record() {
    count=$((count + 1))
    printf '%s' "$1" >"records/$count.key"
    cat >"records/$count.value"
}

if command -v dpkg-query >/dev/null; then
    while IFS=$'\t' read -r -d $'\r' package description; do
        [ "$count" -lt "$package_count_max" ] || break
        count=$((count + 1))
        printf 'package %s' "$package" >"records/$count.key"
        printf '%s' "$description" >"records/$count.value"
    done < <(dpkg-query -W -f '${binary:Package}\t${Description}\r')
fi
package_count=$count
if [ -d /usr/share/common-licenses ]; then
    for file in /usr/share/common-licenses/*; do
        add_record "licence ${file##*/}" <"$file"
    done
fi
first_made_up=$((count + 1))
# A bare Debian has some hundred packages: the rest is made up, texts of up to
# 30 KB with quotes, line ends and letters of more than one byte.
while [ "$count" -lt "$record_count_min" ]; do
    awk -v number="$count" 'BEGIN {
        line = "Zeile \"" number "\"\tc:\\path, 100 % \303\274blich\n"
        size = number % 40 == 0 ? 30000 : 40 * (number % 25)
        while (length(text) < size) text = text line
        printf "%s", text
    }' </dev/null >made-up
    add_record "made up $count" <made-up
done
echo "$package_count packages, $((first_made_up - 1 - package_count))" \
    "licences, $((count - first_made_up + 1)) made up"

# --- In, back, and what jq says ---

for ((i = 1; i <= count; i++)); do
    sync=none
    if [ $((i % 20)) -eq 0 ] || [ "$i" -gt "$package_count" ]; then
        sync=always
    fi
    kvstore --sync "$sync" set --file "records/$i.value" "$(<"records/$i.key")"
done
for ((i = 1; i <= count; i++)); do
    kvstore --sync none get --raw "$(<"records/$i.key")" |
        cmp - "records/$i.value" || docs_fail "$(<"records/$i.key") differs"
done
for ((i = 1; i <= count; i++)); do
    printf '%s %s\n' "$(base64 -w 0 <"records/$i.key")" \
        "$(base64 -w 0 <"records/$i.value")"
done | sort >expected
jq -r '.Set | (.key64 // (.key | @base64)) + " " + (.val64 // (.val | @base64))' \
    data/store.log | sort >actual
cmp expected actual || docs_fail 'jq finds something else in the log'
echo "$count records come back, and jq finds the same"

# --- kill -9 in the middle of loading ---

# Sets keys until it is killed, and notes each one that was acknowledged.
load() {
    local i sync
    for ((i = 1;; i++)); do
        sync=always
        [ $((i % 2)) -eq 0 ] || sync=none
        kvstore --data-dir killed --sync "$sync" set "key $1 $i" "value $1 $i" &&
            printf '%s %s\n' "$1" "$i" >>acknowledged
    done
}

: >acknowledged
set -m # Each loader is a process group, which dies as one.
for ((round = 1; round <= round_count; round++)); do
    load "$round" &
    loader=$!
    until grep -q "^$round " acknowledged; do
        sleep 0.01
    done
    sleep "0.0$((RANDOM % 5 + 4))"
    kill -KILL -- "-$loader"
    wait "$loader" 2>/dev/null || :
done
set +m

while read -r round i; do
    [ "$(kvstore --data-dir killed --sync none get "key $round $i")" = \
        "value $round $i" ] || docs_fail "key $round $i was acknowledged"
done <acknowledged
# Mends the end of the log, if the last kill left anything there.
kvstore --data-dir killed set last one
kvstore --data-dir killed rm last
acknowledged=$(wc -l <acknowledged)
found=$(jq -rn 'reduce inputs as $line ({};
    if $line.Set then .[$line.Set.key] = $line.Set.val
    else del(.[$line.Remove.key]) end) | length' killed/store.log)
# A kill may come between the change and its note, once in each round.
[ "$acknowledged" -ge "$round_count" ] ||
    docs_fail "only $acknowledged keys were acknowledged in $round_count rounds"
[ "$found" -ge "$acknowledged" ] &&
    [ "$found" -le $((acknowledged + round_count)) ] ||
    docs_fail "$acknowledged keys were acknowledged, $found are there"
echo "$round_count kills: $acknowledged keys acknowledged, $found there"
