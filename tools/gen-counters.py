#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the table of counters in Documentation/admin.md, out of the sources."""

import pathlib
import re

top = pathlib.Path(__file__).resolve().parent.parent


def glue():
    """Counters of src/stat.rs: doc comment, variant, name."""
    text = (top / "src/stat.rs").read_text()
    body = text[text.index("counters! {") :]
    for doc, name in re.findall(r'((?:\s+///[^\n]*\n)+)\s+\w+ "(\w+)";', body):
        yield name, " ".join(re.findall(r"///\s*(.*)", doc)), ""


def engine():
    """Reasons of tls_hs/src/error.rs: variant, name, disposition, alert, description."""
    text = (top / "tls_hs/src/error.rs").read_text()
    pattern = r'\w+ "(\w+)" (Fallback|Alert|Close) (?:Some\(A::(\w+)\)|None),\s+"([^"]*)";'
    for name, disposition, alert, description in re.findall(pattern, text):
        alert = re.sub(r"(?<!^)(?=[A-Z])", "_", alert).lower()
        ends = {"Fallback": "falls back", "Alert": alert, "Close": "closed"}[disposition]
        yield name, description, ends


print("| counter | what it counts | ends with |")
print("|---|---|---|")
for row in [*glue(), *engine()]:
    print("| `{}` | {} | {} |".format(*row))
