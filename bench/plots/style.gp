# SPDX-License-Identifier: MIT
#
# What all plots have in common: kvstore, whose columns come first, has thick
# blue lines, its peers thin ones, and the floor grey ones. Needs image and
# data.

set terminal svg size 860,560 font "sans-serif,13" background "#ffffff"
set output image
set datafile separator tab
set datafile missing "?"
set grid lc rgb "#dddddd" lt 1
set border 3 lc rgb "#888888"
set tics nomirror
unset mxtics
unset mytics
set key outside right center reverse Left samplen 2

colours = "#e69f00 #d55e00 #009e73 #117733 #cc79a7 #aa4499 #882255 #999933 " \
    . "#661100 #332288 #b8860b #44aa99 #6699cc #a0522d"

is_ours(name) = strstrt(name, "kvstore") == 1
is_floor(name) = name eq "floor"
colour(name, i) = is_ours(name) ? (name eq "kvstore" ? "#0044cc" : "#3399ff") \
    : is_floor(name) ? "#777777" : word(colours, (i - 2) % words(colours) + 1)
thickness(name) = is_ours(name) ? 3.5 : 1.4
mark(name, i) = is_ours(name) ? 7 : is_floor(name) ? 2 : 4 + i % 10
size(name) = is_ours(name) ? 1.1 : 0.7

# The name of a column, from the first line of a table; then the columns of a
# table that have any number in them.
head(table, i) = system(sprintf( \
    "head -n 1 '%s' | cut -f %d | tr -d '\"'", table, i))
filled(table) = system(sprintf("awk -F '\\t' 'NR > 1 { for (i = 2; i <= NF;" \
    . " i++) if ($i != \"?\") seen[i] = 1; if (NF > n) n = NF } END { for" \
    . " (i = 2; i <= n; i++) if (i in seen) print i }' '%s'", table))
