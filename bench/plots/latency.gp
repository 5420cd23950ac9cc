# SPDX-License-Identifier: MIT
#
# How long sets take, by percentile, undisturbed and during a compaction; and
# how long kvstore's sets and gets, and the machine alone, take with and without
# a compaction of a large store.

dir = ARG0[1:strstrt(ARG0, "latency.gp") - 1]
load dir . "style.gp"
set terminal svg size 860,1720 font "sans-serif,13" background "#ffffff"

set logscale y
set format y "%.0s %cs"
set multiplot layout 4,1
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

# Broken lines: without a compaction.
beside(name) = strstrt(name, ", compacting") > 0
dash(name) = beside(name) ? 1 : 2
hue(name) = strstrt(name, "set, its call") == 1 ? "#3399ff" \
    : strstrt(name, "set") == 1 ? "#0044cc" \
    : strstrt(name, "get") == 1 ? "#009e73" \
    : strstrt(name, "clock") == 1 ? "#777777" : "#d55e00"
do for [what in "stall-paced stall"] {
    table = data . "/" . what . ".tsv"
    columns = filled(table)
    set title (what eq "stall" \
        ? "kvstore compacts itself: sets and gets as fast as they can" \
        : "kvstore compacts itself: 20,000 sets and gets a second")
    if (words(columns) > 0) {
        plot for [column in columns] table every ::1 \
            using 0:(column(int(column)) / 1e6):xtic(1) with linespoints \
            pt 7 ps 0.7 lw (beside(head(table, int(column))) ? 3 : 1.4) \
            dt dash(head(table, int(column))) \
            lc rgb hue(head(table, int(column))) \
            title head(table, int(column))
    }
}
unset multiplot
