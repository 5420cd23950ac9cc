# SPDX-License-Identifier: MIT
#
# What a get and a set cost as the store grows.

dir = ARG0[1:strstrt(ARG0, "cost.gp") - 1]
load dir . "style.gp"
set terminal svg size 860,860 font "sans-serif,13" background "#ffffff"

set logscale xy
set format x "%.0s%c"
set ylabel "microseconds"
set multiplot layout 2,1
do for [what in "get set"] {
    table = data . "/cost-" . what . ".tsv"
    set title (what eq "get" ? "Get of a random key" \
        : "Set of a random key that is there")
    if (what eq "set") { set xlabel "keys in the store" }
    plot for [column in filled(table)] table every ::1 \
        using 1:int(column) with linespoints \
        pt mark(head(table, int(column)), int(column)) \
        ps size(head(table, int(column))) \
        lw thickness(head(table, int(column))) \
        lc rgb colour(head(table, int(column)), int(column)) \
        title head(table, int(column))
}
unset multiplot
