#!/bin/sh
# Makes the trees that are measured, from Debian 12 packages:
#
#   corpora.sh FOLDER
#
#   FOLDER/system     a server: system.packages and what they need
#   FOLDER/desktop    the same and desktop.packages, as the point release has them
#   FOLDER/updated    the desktop with the security updates since that release
#   FOLDER/NAME.list  the packages of a tree, with versions; written last: a tree
#                     without its list is made again
#
# Packages are unpacked, not configured: nothing runs, and every file has the
# time that its package gave it. Needs apt, dpkg-deb, the Debian archive's keys
# and root (files belong to whom the package says).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
suite=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that apt itself uses.
site() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' |
        grep "$1\$" | head -n 1 | grep . || echo "http://deb.debian.org/$1"
}

# prepare STATE: an apt of its own, which knows no installed package. STATE is
# `release` (the point release alone) or `current` (with the security updates).
prepare() {
    apt=$out/apt/$1
    mkdir -p "$apt/lists" "$out/archives/partial"
    : > "$apt/status"
    echo "deb [signed-by=$keyring] $(site debian) $suite main" > "$apt/sources"
    if [ "$1" = current ]; then
        echo "deb [signed-by=$keyring] $(site debian-security) $suite-security main" >> "$apt/sources"
    fi
    cat > "$apt/conf" <<END
Dir::Etc::sourcelist "$apt/sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$out/archives";
APT::Architecture "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
END
    export APT_CONFIG="$apt/conf"
    apt-get -qq update
}

# unpack NAME LIST...: the packages of the lists and what they need.
unpack() {
    name=$1
    shift
    if [ -e "$out/$name.list" ]; then
        return
    fi
    echo "making $out/$name"
    wanted=$(cat "$@" | grep -v '^#')
    # shellcheck disable=SC2086
    apt-get -qq --yes --download-only install '?essential' $wanted > "$out/apt/$name.log"
    # "Inst NAME (VERSION RELEASE [ARCHITECTURE]) ..." to the archive's name.
    # shellcheck disable=SC2086
    apt-get -qq --simulate install '?essential' $wanted > "$out/apt/$name.plan"
    sed -n -E 's/^Inst ([^ ]+) \(([^ ]+) .*\[([a-z0-9]+)\]\).*/\1_\2_\3.deb/p' "$out/apt/$name.plan" |
        sed 's/:/%3a/g' | sort > "$out/apt/$name"
    if ! [ -s "$out/apt/$name" ]; then
        echo "apt would install nothing: see $out/apt/$name.plan" >&2
        exit 1
    fi
    rm -rf "${out:?}/$name"
    mkdir "$out/$name"
    while read -r archive; do
        dpkg-deb --extract "$out/archives/$archive" "$out/$name"
    done < "$out/apt/$name"
    mv "$out/apt/$name" "$out/$name.list"
}

mkdir -p "$out"
out=$(cd "$out" && pwd)
prepare release
unpack system "$here/system.packages"
unpack desktop "$here/system.packages" "$here/desktop.packages"
prepare current
unpack updated "$here/system.packages" "$here/desktop.packages"
