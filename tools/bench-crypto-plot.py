#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws the table of comb sizes, which the test cycles_of_comb_sizes prints, as a picture (SVG).

    tools/bench-crypto-plot.py TABLE > PICTURE
"""

import math
import sys

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 380, 70, 40, 330
COLOURS = {"full scan (constant time)": "#4878a8", "direct lookup (not constant time)": "#e49444"}


def rows(path):
    for line in open(path, encoding="ascii"):
        fields = line.split()
        if len(fields) == 8 and fields[0].isdigit():
            yield [float(field) for field in fields]


def main():
    table = sorted(rows(sys.argv[1]), key=lambda row: row[2])
    if not table:
        sys.exit("no rows")
    low, high = math.log2(table[0][2]), math.log2(table[-1][2])
    top = max(max(row[6:]) for row in table)
    place = lambda row, v: (
        LEFT + (math.log2(row[2]) - low) / (high - low) * (WIDTH - LEFT - 40),
        BOTTOM - v / top * (BOTTOM - TOP),
    )
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' "
        "font-family='sans-serif' font-size='11'>",
        "<rect width='100%' height='100%' fill='white'/>",
        f"<text x='{LEFT}' y='20' font-size='13'>P-256 fixed base: cycles and table size</text>",
        f"<text x='{WIDTH / 2}' y='{HEIGHT - 8}' text-anchor='middle'>KiB of tables, logarithmic "
        "(marks: width/tables)</text>",
    ]
    step = 10 ** math.floor(math.log10(top))
    for tick in range(0, int(top) + 1, step):
        y = BOTTOM - tick / top * (BOTTOM - TOP)
        out.append(f"<line x1='{LEFT}' x2='{WIDTH - 30}' y1='{y:.0f}' y2='{y:.0f}' stroke='#ddd'/>")
        out.append(f"<text x='{LEFT - 6}' y='{y + 4:.0f}' text-anchor='end'>{tick // 1000}k</text>")
    for row in table:
        x, _ = place(row, 0)
        if row[4] == 0:
            out.append(f"<text x='{x:.0f}' y='{BOTTOM + 16}' text-anchor='middle'>{row[2]:g}</text>")
    for column, (name, colour) in enumerate(COLOURS.items()):
        out.append(f"<text x='{LEFT + 10 + 220 * column}' y='36' fill='{colour}'>{name}</text>")
        # Tables without doublings are joined by a line.
        line = [place(row, row[6 + column]) for row in table if row[4] == 0]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        out.append(f"<polyline points='{points}' fill='none' stroke='{colour}'/>")
        for row in table:
            x, y = place(row, row[6 + column])
            out.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'/>")
            if column == 0:
                out.append(f"<text x='{x:.1f}' y='{y - 7:.1f}' font-size='9'>{row[0]:g}/{row[1]:g}</text>")
    out.append("</svg>")
    print("\n".join(out))


main()
