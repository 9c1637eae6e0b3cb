# lib.sh: what the scripts share. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG LC_ALL=C.UTF-8

# Nobody's own server is reached by an accident of the environment. A make inside a script starts
# afresh.
if [ -z "${METER_WORK:-}" ]; then
	for name in $(compgen -e PG); do
		[ "$name" = PG_CONFIG ] || unset "$name"
	done
fi
umask 022
unset MAKEFLAGS MAKELEVEL MFLAGS

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The user a server runs as: PostgreSQL refuses root.
server_user=$(id -un)
if [ "$(id -u)" = 0 ]; then
	server_user=nobody
	if getent passwd postgres >/dev/null; then
		server_user=postgres
	fi
fi

# Runs a command (with absolute paths) as the server's user, who may not be able to stand in the
# present directory.
as_server()
{
	if [ "$(id -u)" = 0 ]; then
		(cd / && exec runuser -u "$server_user" -- "$@")
	else
		"$@"
	fi
}

# Builds a copy of the sources, .build/NAME, with other flags, beside the build proper.
other_build()
{
	local tree=$root/.build/$1 file
	shift
	mkdir -p "$tree/src" "$tree/sql"
	for file in "$tree"/src/*.[ch] "$tree"/sql/*.sql; do
		[ -e "$root/${file#"$tree"/}" ] || rm -f "$file"
	done
	cp -pu "$root/meter.control" "$root/Makefile" "$tree" &&
		cp -pu "$root"/src/*.[ch] "$tree/src" &&
		cp -pu "$root"/sql/*.sql "$tree/sql" &&
		make -s -C "$tree" all "$@"
}
assertions=(with_llvm=no "METER_CFLAGS=-Werror -DUSE_ASSERT_CHECKING")
portable=(with_llvm=no "METER_CFLAGS=-Werror -DMETER_PORTABLE_NUMERIC")
