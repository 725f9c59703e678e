#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares syzkaller's description of the interface with the user header: every constant,
structure and key type of the one is in the other, with the same value or layout.

With --write it writes the values to tls_hs.txt.const."""

import pathlib
import re
import sys

here = pathlib.Path(__file__).resolve().parent
header = (here / "../../src/uapi/tls_hs.h").read_text()
text = (here / "tls_hs.txt").read_text()
const_file = here / "tls_hs.txt.const"
wrong = []


def check(condition, what):
    if not condition:
        wrong.append(what)


# --- constants ---

defines = dict(re.findall(r"^#define\s+(\w+)\s+(\S.*?)\s*$", header, re.M))
values = {}
for name, value in defines.items():
    shift = re.fullmatch(r"\(1U << (\d+)\)", value)
    if shift:
        values[name] = 1 << int(shift[1])
    elif value.isdigit():
        values[name] = int(value)

code = re.sub(r"#.*", "", text)
used = set(re.findall(r"\b(TLS_HS_?\w*)\b", re.sub(r"\$\w+", "", code)))
for name in sorted(used):
    check(name in values, f"{name} is not in the header")
# What user space writes; what is in TLS_HS_INFO and inet_diag's answers is only read.
for name in values:
    if name.startswith("TLS_HS") and not name.startswith(("TLS_HS_INFO_", "TLS_HS_DIAG")):
        check(name in used, f"{name} is not in the description")

# Each set has all constants of its field.
fields = dict(re.findall(r"^tls_hs_(\w+) = (.*)$", text, re.M))
comment = None
groups = {}
for line in header.splitlines():
    found = re.match(r"/\* tls_hs_crypto_info\.(\w+)", line)
    if found:
        comment = found[1]
    elif line.startswith("#define") and comment:
        groups.setdefault(comment, set()).add(line.split()[1])
    elif not line.strip():
        comment = None
body = re.search(r"^tls_hs_crypto_info \{(.*?)^\}", text, re.M | re.S)[1]
for field, names in groups.items():
    found = re.search(rf"^\t{field}\s+flags\[tls_hs_(\w+), int32\]", body, re.M)
    check(found and set(fields[found[1]].split(", ")) == names, f"flags of {field}")

# --- structures ---

SIZES = {"__u32": "int32", "__s32": "int32", "__u16": "int16", "char": "int8"}


def kind(described):
    """int32 and such, or (int8, count)."""
    array = re.match(r"array\[(int\d+), (\d+)\]", described)
    if array:
        return array[1], int(array[2])
    if described == "keyring":
        return "int32"
    return re.search(r"\bint\d+", described)[0]


for name in ("tls_hs_crypto_info", "tls_hs_info"):
    members = []
    for type_name, member, size in re.findall(
        r"^\t(\w+)\s+(\w+)(?:\[(\d+)\])?;", re.search(rf"^struct {name} {{(.*?)^}};", header, re.M | re.S)[1], re.M
    ):
        members.append((member, (SIZES[type_name], int(size)) if size else SIZES[type_name]))
    described = [
        (member, kind(rest))
        for member, rest in re.findall(r"^\t(\w+)\s+(.*)$", re.search(rf"^{name} \{{(.*?)^\}}", text, re.M | re.S)[1], re.M)
    ]
    check(described == members, f"struct {name}: {described}, not {members}")

# --- keys ---

keys = {
    (defines[f"TLS_HS_KEY_TYPE_{name}"].strip('"'), defines[f"TLS_HS_KEY_DESC_{name}"].strip('"'))
    for name in re.findall(r"TLS_HS_KEY_TYPE_(\w+)", header)
}
described = set(re.findall(r'^add_key\$\w+\(type ptr\[in, string\["(tls_\w+)"\]\], desc ptr\[in, string\["([^"]*)"\]\]', text, re.M))
check(described == keys, f"keys: {described}, not {keys}")

# --- the description by itself ---

for name, names in fields.items():
    check(len(re.findall(rf"\btls_hs_{name}\b", code)) > 1, f"tls_hs_{name} is not used")
for name in set(re.findall(r"\b(tls_hs_\w+)\b", re.sub(r"\$\w+", "", code))):
    defined = re.search(rf"^(resource {name}\[|{name} \{{|{name} = )", text, re.M)
    check(defined, f"{name} is not defined")
check(code.count("[") == code.count("]") and code.count("(") == code.count(")"), "brackets")

constants = "# What syz-extract makes of tls_hs.txt, as far as it is the module's own.\n# SPDX-License-Identifier: GPL-2.0\narches = amd64\n"
constants += "".join(f"{name} = {values.get(name)}\n" for name in sorted(used))
if "--write" in sys.argv[1:]:
    const_file.write_text(constants)
check(const_file.read_text() == constants, "tls_hs.txt.const is old: check.py --write")

for what in wrong:
    print(what)
sys.exit(bool(wrong))
