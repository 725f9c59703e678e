#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the table of sysctls in Documentation/admin.md, out of src/sysctl.rs."""

import pathlib
import re

top = pathlib.Path(__file__).resolve().parent.parent
text = (top / "src/sysctl.rs").read_text()
pattern = r'((?:\s+///[^\n]*\n)+)\s+\w+ c"(\w+)"\s+([\d_]+),\s+([\d_]+) to ([\d_]+),\s+(Namespace|Machine);'
number = lambda digits: digits.replace("_", "")

print("| name | default | from, to | of | what |")
print("|---|---|---|---|---|")
for doc, name, default, low, high, scope in re.findall(pattern, text[text.index("sysctls! {") :]):
    what = " ".join(re.findall(r"///\s*(.*)", doc))
    print(f"| `{name}` | {number(default)} | {number(low)}, {number(high)} | {scope.lower()} | {what} |")
