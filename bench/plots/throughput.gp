# SPDX-License-Identifier: MIT
#
# Operations per second by workload, with one mark for each store.

dir = ARG0[1:strstrt(ARG0, "throughput.gp") - 1]
load dir . "style.gp"

table = data . "/throughput.tsv"
set title "Throughput by workload"
set xlabel "million operations a second"
set logscale x
set yrange [*:*] reverse
set offsets 0, 0, 0.5, 0.5
plot for [column in filled(table)] table every ::1 \
    using (column(int(column))):0:ytic(1) with points \
    pt mark(head(table, int(column)), int(column)) \
    ps size(head(table, int(column))) * 1.3 \
    lw thickness(head(table, int(column))) / 1.5 \
    lc rgb colour(head(table, int(column)), int(column)) \
    title head(table, int(column))
