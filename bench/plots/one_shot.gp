# SPDX-License-Identifier: MIT
#
# What one get by the command costs, by the size of the store.

dir = ARG0[1:strstrt(ARG0, "one_shot.gp") - 1]
load dir . "style.gp"

table = data . "/one-shot.tsv"
set title "One get from the shell; the floor is /bin/true"
set xlabel "keys in the store"
set ylabel "microseconds"
set logscale xy
set format x "%.0s%c"
plot for [column in filled(table)] table every ::1 \
    using 1:int(column) with linespoints \
    pt mark(head(table, int(column)), int(column)) \
    ps size(head(table, int(column))) \
    lw thickness(head(table, int(column))) \
    lc rgb colour(head(table, int(column)), int(column)) \
    title head(table, int(column))
