# SPDX-License-Identifier: MIT
#
# bypassed_calls.awk COUNTS TRACE: compares what the table says that it was
# called with what strace -f has seen between the marks.

BEGIN {
    # What each member of the table may call. Where C libraries and kernels
    # differ, any of the names; those after the bar may come as well.
    may["openat"] = "openat open"
    may["close"] = "close"
    may["dup_high"] = "fcntl fcntl64"
    may["pread"] = "pread64 pread"
    may["pwrite"] = "pwrite64 pwrite"
    may["size_limit"] = "prlimit64 getrlimit ugetrlimit"
    may["ftruncate"] = "ftruncate ftruncate64"
    may["fdatasync"] = "fdatasync"
    may["fsync"] = "fsync"
    may["fstat"] = "newfstatat fstat fstat64 fstatat64 statx"
    may["fstatat"] = "statx | newfstatat fstatat64"
    may["fchown"] = "fchown fchown32"
    may["fchmod"] = "fchmod"
    may["get_access_list"] = "fgetxattr"
    may["set_access_list"] = "fsetxattr fremovexattr"
    may["mkdir"] = "mkdir mkdirat"
    may["renameat"] = "renameat renameat2"
    may["unlinkat"] = "unlinkat"
    may["flock"] = "flock"
    may["hold"] = "fcntl fcntl64"
    may["is_held"] = "fcntl fcntl64"
    may["allocate_blocks"] = "fallocate | rt_sigprocmask rt_sigpending rt_sigtimedwait rt_sigtimedwait_time64"
    may["mmap"] = "mmap mmap2"
    may["munmap"] = "munmap"
    may["populate"] = "madvise"
    may["file_end"] = "lseek _llseek"
    may["next_data"] = "lseek _llseek"
    may["mount_id"] = "statx | name_to_handle_at"
    may["birth"] = "statx | ioctl"
    may["file_system_type"] = "fstatfs fstatfs64"
    may["getrandom"] = "getrandom"
    # Several calls, or none.
    may["boot_id"] = "| openat open read close"
    may["opendir"] = "| openat open fcntl fcntl64 newfstatat fstat fstat64 fstatat64 statx close brk mmap mmap2 munmap mprotect"
    may["readdir"] = "| getdents64"
    may["closedir"] = "| close munmap"
    may["start_thread"] = "| clone clone3 mmap mmap2 mprotect munmap rt_sigprocmask madvise futex rt_sigaction"
    # The C library's heap.
    may["malloc"] = may["realloc"] = may["free"] = \
        "| brk mmap mmap2 munmap mremap mprotect madvise futex getrandom"

    # Beside the table:
    # the mutexes, semaphores and joins of the C library, which fail only if
    # they are misused;
    excused["futex"] = excused["futex_time64"] = 1
    # the mask of signals, which cannot fail (os/size_signal.c, os/system.c);
    excused["rt_sigprocmask"] = excused["rt_sigpending"] = 1
    excused["rt_sigtimedwait"] = excused["rt_sigtimedwait_time64"] = 1
    # who this is, which cannot fail;
    excused["getpid"] = excused["geteuid"] = excused["geteuid32"] = 1
    # how a thread of the C library begins and ends;
    excused["set_robust_list"] = excused["rseq"] = excused["exit"] = 1
    excused["gettid"] = excused["set_tid_address"] = 1
    # its heap, as used by cJSON and by the program that runs the workloads:
    # brk, and the calls for anonymous memory, below.
    excused["brk"] = 1
}

function complain(text) {
    if (++complaints <= 20) {
        print text
    }
}

# Memory that is not a file's: the heap and the stacks of the C library.
function is_of_heap(call, rest) {
    if (call ~ /^mmap2?$/) {
        return rest ~ /MAP_ANONYMOUS/
    }
    if (call == "munmap" || call == "mremap" || call == "mprotect") {
        match(rest, /^0x[0-9a-f]+/)
        return !(substr(rest, RSTART, RLENGTH) in mapped)
    }
    return call == "madvise" && rest ~ /MADV_DONTNEED/
}

function note_mapped(call, rest) {
    if (call ~ /^mmap2?$/ && rest !~ /MAP_ANONYMOUS/ &&
        match(rest, /= 0x[0-9a-f]+/)) {
        mapped[substr(rest, RSTART + 2, RLENGTH - 2)] = 1
    }
}

function see_inside(member, call) {
    seen++
    split(may[member], parts, "|")
    if ((" " parts[1] " ") ~ (" " call " ")) {
        made[member]++
    } else if ((" " parts[2] " ") !~ (" " call " ")) {
        complain(where ": " call " within " member)
    }
}

function see_outside(call, line) {
    if (call in excused || is_of_heap(call, line)) {
        others++
        excuses[call]++
    } else {
        complain(where ": " call " beside the table: " substr(line, 1, 60))
    }
}

# The first file: what the table counted.
FNR == NR {
    counted[$1] = $2
    next
}

# PID call(arguments... Lines of a call that is resumed were seen before.
match($0, /^[0-9]+ +[a-z_0-9]+\(/) {
    pid = $1
    call = substr($0, length(pid) + 1, RLENGTH - length(pid) - 1)
    sub(/^ +/, "", call)
    rest = substr($0, RSTART + RLENGTH)
    if (match(rest, /\/kvstore-mark\/[a-z]+\/[^"]*/)) {
        split(substr(rest, RSTART, RLENGTH), mark, "/")
        if (mark[3] == "begin") {
            is_within = 1
            where = mark[4]
            windows++
        } else if (mark[3] == "end") {
            is_within = 0
        } else if (mark[3] == "enter") {
            inside[pid] = mark[4]
            entered[mark[4]]++
        } else {
            delete inside[pid]
        }
        next
    }
    note_mapped(call, rest)
    if (is_within && pid in inside) {
        see_inside(inside[pid], call)
    } else if (is_within) {
        see_outside(call, rest)
    }
}

END {
    for (member in entered) {
        calls += entered[member]
        if (!(member in may)) {
            complain(member ": no member that is known")
        }
    }
    for (member in counted) {
        if (counted[member] != entered[member]) {
            complain(member ": the table counted " counted[member] \
                     " calls, strace saw " entered[member] + 0)
        }
        split(may[member], parts, "|")
        if (parts[1] != "" && made[member] != counted[member]) {
            complain(member ": " counted[member] " calls made " \
                     made[member] + 0 " system calls")
        }
    }
    printf "%d workloads: %d calls of the table made %d system calls, ", \
        windows, calls, seen
    printf "%d others are excused, %d failed\n", others, complaints
    for (call in excuses) {
        printf "excused: %s %d\n", call, excuses[call]
    }
    if (windows < 40 || calls < 1000) {
        print "hardly anything was seen"
        exit 1
    }
    exit complaints > 0
}
