# SPDX-License-Identifier: MIT
#
# How cost grows as a store grows, for the first store that was measured: what a
# set and a get take, and what reads the whole log.

dir = ARG0[1:strstrt(ARG0, "scale.gp") - 1]
load dir . "style.gp"
set terminal svg size 860,860 font "sans-serif,13" background "#ffffff"

table(what) = data . "/scale-" . what . ".tsv"
line(what) = int(word(filled(table(what)), 1))

set logscale xy
set format x "%.0s%c"
set multiplot layout 2,1
set title "One set or get of a random key"
set ylabel "microseconds"
plot for [what in "set overwrite get"] table(what) every ::1 \
    using 1:line(what) with linespoints pt 7 ps 1.1 lw 3.5 title what
set title "A compaction of a log that is half stale; opening without an index"
set ylabel "seconds"
set xlabel "keys in the store"
plot for [what in "compaction rebuild"] table(what) every ::1 \
    using 1:line(what) with linespoints pt 7 ps 1.1 lw 3.5 title what
unset multiplot
