#!/usr/bin/env python3
# SPDX-License-Identifier: MIT

"""Counts, from Python, by ctypes over the shared library.

    counter.py DIR TIMES

Needs libkvstore.so, of a build with -DBUILD_SHARED_LIBS=ON. Shows how the types
of the calls are declared: without that, ctypes takes every pointer for an int.
"""

import ctypes
import sys

KVSTORE_OK = 0
KVSTORE_CONFLICT = 12
KVSTORE_EXPIRES_NEVER = 0


class Error(ctypes.Structure):
    """kvstore_error"""

    _fields_ = [
        ("status", ctypes.c_int),
        ("system_errno", ctypes.c_int),
        ("offset", ctypes.c_uint64),
        ("message", ctypes.c_char * 256),
    ]


library = ctypes.CDLL("libkvstore.so.0")
library.kvstore_open.argtypes = [
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_void_p),
]
library.kvstore_close.argtypes = [ctypes.c_void_p]
library.kvstore_close.restype = None
library.kvstore_increment.argtypes = [
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.POINTER(ctypes.c_int64),
]
library.kvstore_last_error.restype = ctypes.POINTER(Error)


def check(status):
    """Raises what a call returned, unless that is success."""
    if status == KVSTORE_CONFLICT:  # A condition; it leaves no message.
        raise ValueError("hits is not a number, or too large")
    if status != KVSTORE_OK:
        raise OSError(library.kvstore_last_error().contents.message.decode())


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: counter.py DIR TIMES")
    directory, times = sys.argv[1].encode(), int(sys.argv[2])
    store = ctypes.c_void_p()
    total = ctypes.c_int64()
    check(library.kvstore_open(directory, None, ctypes.byref(store)))
    try:
        for _ in range(times):
            check(
                library.kvstore_increment(
                    store,
                    b"hits",
                    4,
                    1,
                    KVSTORE_EXPIRES_NEVER,
                    ctypes.byref(total),
                )
            )
    finally:
        library.kvstore_close(store)
    print(total.value)


if __name__ == "__main__":
    main()
