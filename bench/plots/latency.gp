# SPDX-License-Identifier: MIT
#
# How long sets take, by percentile: undisturbed, and beside a compaction.

dir = ARG0[1:strstrt(ARG0, "latency.gp") - 1]
load dir . "style.gp"
set terminal svg size 860,860 font "sans-serif,13" background "#ffffff"

set logscale y
set format y "%.0s %cs"
set multiplot layout 2,1
do for [what in "latency latency-compacting"] {
    table = data . "/" . what . ".tsv"
    set title (what eq "latency" ? "Set, nothing else going on" \
        : "Set, while another thread compacts")
    plot for [column in filled(table)] table every ::1 \
        using 0:(column(int(column)) / 1e6):xtic(1) with linespoints \
        pt mark(head(table, int(column)), int(column)) \
        ps size(head(table, int(column))) \
        lw thickness(head(table, int(column))) \
        lc rgb colour(head(table, int(column)), int(column)) \
        title head(table, int(column))
}
unset multiplot
