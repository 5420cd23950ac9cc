# SPDX-License-Identifier: MIT
#
# Makes the Debian package, and looks at it as Debian does; installs it in a
# folder that dpkg takes for a system, uses the program, and the library from C,
# and removes it without a trace. Skipped where dpkg's tools are not, or without
# the right to give files to root, but not where KVSTORE_NEEDS_DEBIAN says that
# this is Debian 12: there lintian looks at it, too.

set -eu
: "${BUILD_DIR:?}" "${CONFIG?}" "${CPACK:?}" "${VERSION:?}" "${CC:?}"
tests=$(cd "$(dirname "$0")" && pwd)

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

skip() {
    echo "skipped: $1"
    exit 77
}

[ "$(id -u)" -eq 0 ] || skip 'this is not root'
for tool in dpkg dpkg-deb dpkg-query dpkg-shlibdeps gzip pkg-config; do
    command -v $tool >/dev/null || {
        [ -z "${KVSTORE_NEEDS_DEBIAN:-}" ] || fail "there is no $tool"
        skip "there is no $tool"
    }
done
scratch=$(mktemp -d "${TMPDIR:-/tmp}/kvstore-debian.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# A name that the world would find, as who publishes it would have.
(cd "$BUILD_DIR" && "$CPACK" -G DEB -C "$CONFIG" -B "$scratch/made" \
    -D 'CPACK_DEBIAN_PACKAGE_MAINTAINER=Kv Store <kv@debian.org>') >log 2>&1 || {
    cat log >&2
    fail 'cpack makes no package'
}
package=made/kvstore_${VERSION}_$(dpkg --print-architecture).deb
[ -f "$package" ] || fail "there is no $package"

dpkg-deb -f "$package" >control
for line in 'Package: kvstore' "Version: $VERSION" 'Section: database' \
    'Maintainer: Kv Store <kv@debian.org>' 'Depends: .*libc6 .*libcjson1 '; do
    grep -q "^$line" control || fail "its control file has no $line"
done
dpkg-deb -c "$package" >files
while read -r mode file; do
    grep -q "^$mode root/root .* \\./usr/$file\$" files ||
        fail "it has no $file with the mode $mode"
done <<'EOF'
-rwxr-xr-x bin/kvstore
-rw-r--r-- include/kvstore.h
-rw-r--r-- lib/.*pkgconfig/kvstore.pc
-rw-r--r-- lib/.*cmake/kvstore/kvstoreConfig.cmake
-rw-r--r-- share/bash-completion/completions/kvstore
-rw-r--r-- share/doc/kvstore/README.md
-rw-r--r-- share/doc/kvstore/changelog.gz
-rw-r--r-- share/doc/kvstore/copyright
-rw-r--r-- share/doc/kvstore/docs/tour.md
-rw-r--r-- share/doc/kvstore/examples/counter.c
-rw-r--r-- share/fish/vendor_completions.d/kvstore.fish
-rw-r--r-- share/man/man1/kvstore.1.gz
-rw-r--r-- share/man/man3/kvstore.3.gz
-rw-r--r-- share/man/man5/kvstore-log.5.gz
-rw-r--r-- share/zsh/vendor-completions/_kvstore
EOF

# Known: a library is not in a folder of its machine unless the build is made
# for the prefix /usr; a debug build has no fortified calls.
if [ -n "${KVSTORE_NEEDS_DEBIAN:-}" ]; then
    lintian --allow-root --fail-on error,warning --suppress-tags \
        pkg-config-unavailable-for-cross-compilation,hardening-no-fortify-functions \
        "$package" >log 2>&1 || {
        cat log >&2
        fail 'lintian is not content'
    }
fi

# A system that has what the package depends on, and nothing else.
root=$scratch/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
sed -n 's/^Depends: //p' control | sed 's/ ([^)]*)//g; s/,//g' >depends
dpkg-query -s $(cat depends) >"$root/var/lib/dpkg/status" ||
    fail 'what it depends on is not here'
(cd "$root" && find . -path ./var/lib -prune -o -print) >before
dpkg --root="$root" -i "$package" >log 2>&1 || {
    cat log >&2
    fail 'it is not installed'
}

program=$root/usr/bin/kvstore
"$program" -d data set user Alice
[ "$("$program" -d data get user)" = Alice ] || fail 'the program reads another'
PKG_CONFIG_PATH=$(dirname "$(find "$root/usr/lib" -name kvstore.pc)")
export PKG_CONFIG_PATH
"$CC" "$tests/outside/main.c" "$tests/outside/own_names.c" -o outside \
    $(pkg-config --cflags --libs kvstore)
LD_LIBRARY_PATH=$root/usr/lib ./outside made-by-c >printed
[ "$(cat printed)" = Alice ] || fail 'the program in C reads another'

dpkg --root="$root" --purge kvstore >log 2>&1 || {
    cat log >&2
    fail 'it is not removed'
}
(cd "$root" && find . -path ./var/lib -prune -o -print) >after
diff before after >&2 || fail 'it leaves something behind'
