#!/bin/sh
# What the tests need from the system. As root on Debian or a relative of it: installs the packages whose commands
# are missing, and only those. Otherwise names what is missing; exits 0 if nothing is, 1 if something is.
set -eu

# Where Debian keeps PostgreSQL's server commands, and the system's own, which an ordinary PATH may leave out.
PATH=$PATH:/usr/sbin:/sbin

has() { command -v "$1" >/dev/null 2>&1; }

has_venv() { has python3 && python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Kafka 4 wants Java 17 or later. The first line of `java -version` reads: openjdk version "17.0.15" 2025-04-15
has_java() {
    java=${JAVA_HOME:+$JAVA_HOME/bin/}java
    has "$java" || return 1
    major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9][0-9]*\).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ]
}

# The tests' programs want up to Go 1.25; from 1.21 on Go fetches the version that one wants. `go version` reads:
# go version go1.26.8 linux/amd64
has_go() {
    has go || return 1
    minor=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9][0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge 21 ]
}

has_postgres() {
    if has initdb && has postgres; then return 0; fi
    for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
        if [ -x "$initdb" ]; then return 0; fi
    done
    has pg_config && [ -x "$(pg_config --bindir 2>/dev/null)/initdb" ]
}

# Tests of pages drive a browser, and look at what it draws: it needs letters that run from left to right and from right
# to left.
has_browser() { has chromium || has chromium-browser || has google-chrome; }

has_letters() { has fc-list && [ -n "$(fc-list :lang=de family)" ] && [ -n "$(fc-list :lang=ar family)" ]; }

# The names of what is missing; on Debian they are the packages' names.
missing() {
    has_venv || echo python3-venv
    has kcat || echo kcat
    has hledger || echo hledger
    { has ssh-agent && has ssh-add && has ssh-keygen; } || echo openssh-client
    has_java || echo java
    has mvn || echo maven
    has_postgres || echo postgresql
    has_go || echo golang
    has_browser || echo chromium
    has_letters || echo fontconfig fonts-dejavu-core
}

wanted=$(missing)
if [ -z "$wanted" ]; then
    echo "deps: nothing is missing"
    exit 0
fi

if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
    echo "deps: missing: $(echo $wanted | sed 's/java/java (17 or later)/; s/golang/golang (1.21 or later)/')" >&2
    if has apt-get; then
        echo "deps: run this as root to install them" >&2
    else
        echo "deps: install them with this system's package manager (names are Debian's)" >&2
    fi
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

quietly() {
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        echo "deps: failed: $*" >&2
        exit 1
    fi
}

quietly apt-get update

packages=
for name in $wanted; do
    if [ "$name" = java ]; then
        # The default may be older than 17 (Debian 11) or 17 no longer be there (Debian 13).
        if apt-cache show openjdk-17-jre-headless >/dev/null 2>&1; then
            name=openjdk-17-jre-headless
        else
            name=default-jre-headless
        fi
    fi
    packages="$packages $name"
done

quietly apt-get install --yes --no-install-recommends $packages

still=$(missing)
if [ -n "$still" ]; then
    echo "deps: installed$packages, but still missing: "$still >&2
    exit 1
fi
echo "deps: installed$packages"
