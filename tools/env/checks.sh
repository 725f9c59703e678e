# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What `make check` looks at, one function a check. Each runs in the source folder,
# fails by its status and says why on standard output.

CHECKS=(rustfmt clippy rustdoc shellcheck checkpatch header syzkaller tables module module-clippy panics copies)

# run_check NAME LOG: sets CHECK_STATUS. It is no status of the function's own because
# a function that is called from if or || runs with set -e switched off.
run_check() {
	set +e
	(set -e && cd "$SRC" && "check_${1//-/_}") >"$2" 2>&1 </dev/null
	CHECK_STATUS=$?
	set -e
}

# Files of the checkout, whether committed or not, that match a pattern.
sources() {
	git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

check_rustfmt() {
	in_root cargo fmt --all --check -- --color never
	# The module is no cargo package; rustfmt finds its files from the first.
	in_root rustfmt --edition 2021 --check --color never src/main.rs nic/main.rs tlsdev/src/lib.rs
}

check_clippy() {
	in_root cargo clippy --workspace --all-targets -- -D warnings
}

check_rustdoc() {
	in_root env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items
}

# Every script, by its suffix or its first line.
check_shellcheck() {
	{
		sources '*.sh'
		sources tools tests .ci | while read -r file; do
			! head -n 1 "$file" | grep -qE '^#!/bin/(ba)?sh' || echo "$file"
		done
	} | sort -u | xargs -r "$ENV_DIR/in-root" shellcheck
}

# In user space nobody has the kernel's macros. What checkpatch does not see: <...> may
# be no comparison, and TYPE ** no multiplication where it does not know the type.
check_checkpatch() {
	local found file line rest
	found=$({
		sources 'src/*.[ch]' 'nic/*.[ch]' 'tlsdev/*.[ch]' | checkpatch
		sources 'tools/*.[ch]' 'tests/*.[ch]' |
			checkpatch --ignore PREFER_DEFINED_ATTRIBUTE_MACRO,ARRAY_SIZE,VOLATILE,SPLIT_STRING,FUNCTION_ARGUMENTS |
			sed "/consistent spacing around '\*'/d"
	} | while IFS=: read -r file line rest; do
		sed -n "${line}p" "$file" | grep -q '__has_include' || echo "$file:$line:$rest"
	done)
	[ -z "$found" ] || {
		echo "$found"
		return 1
	}
}

checkpatch() {
	xargs -r "$ENV_DIR/in-root" perl "$KTREE/scripts/checkpatch.pl" --no-tree --no-summary --terse \
		--quiet --show-types -f "$@" || :
}

# The user header is C, C++ and bindgen's, and all say the same.
check_header() {
	local dir=$BUILD/header
	rm -rf "$dir"
	mkdir -p "$dir/linux"
	cp src/uapi/tls_hs.h "$dir/linux/"
	printf '#include <linux/tls_hs.h>\n#include <linux/tls_hs.h>\nint size = sizeof(struct tls_hs_crypto_info);\n' |
		tee "$dir/use.c" >"$dir/use.cc"
	in_root gcc-14 -std=c99 -Wall -Wextra -Wpedantic -Werror -I "$dir" -c -o "$dir/c.o" "$dir/use.c"
	in_root g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I "$dir" -c -o "$dir/cc.o" "$dir/use.cc"
	in_root bindgen "$dir/linux/tls_hs.h" --allowlist-file '.*/tls_hs.h' -o "$dir/tls_hs.rs"
	grep -oE '^#define (TLS_HS_[A-Z0-9_]+|TLS_HS|[PA]F_TLS)\b' src/uapi/tls_hs.h | cut -d' ' -f2 | while read -r name; do
		grep -q "pub const $name:" "$dir/tls_hs.rs" || {
			echo "bindgen does not see $name"
			exit 1
		}
	done
}

# syzkaller's description of the interface says what the header says.
check_syzkaller() {
	in_root python3 tests/syzkaller/check.py
}

# The tables of the administrators' guide say what the sources say.
check_tables() {
	local generator
	for generator in tools/gen-counters.py tools/gen-sysctls.py; do
		in_root python3 - "$generator" <<-'END' || return 1
			import subprocess, sys
			table = subprocess.run(sys.argv[1], capture_output=True, text=True, check=True).stdout
			if table.count("\n") < 4 or table not in open("Documentation/admin.md").read():
			    sys.exit(f"Documentation/admin.md does not have what {sys.argv[1]} prints")
		END
	done
}

strict_module() {
	build_locked kbuild "$BUILD/check" KRUSTFLAGS=-Dwarnings modules
}

# The module's own code warns of nothing; all of it is compiled to see that.
check_module() {
	local log=$BUILD/module.log
	rm -rf "$BUILD/check"
	strict_module >"$log" 2>&1 || {
		cat "$log"
		return 1
	}
	! grep -E '\bwarning:|WARNING:' "$log"
}

# Kbuild gives every crate a no_std of its own.
check_module_clippy() {
	rm -rf "$BUILD/clippy"
	build_locked kbuild "$BUILD/clippy" CLIPPY=1 \
		KRUSTFLAGS="-Dwarnings -Aclippy::duplicated_attributes" modules
}

check_panics() {
	strict_module
	find "$BUILD/check" -name '*.o' ! -name '*.mod.o' ! -name '.*' -print0 |
		xargs -0 "$ENV_DIR/in-root" "$SRC/tools/check-panics"
}

# No key is left where a value was moved from.
check_copies() {
	strict_module
	in_root "$SRC/tools/check-copies" "$BUILD/check/src/main.o"
}
