#!/usr/bin/env python3
"""Draws the tables of the rows batch_crossing_* in build/bench.json: us over rows, processor and device, both axes
logarithmic. usage: bench/plots/crossing.py [OUTPUT.svg]; without it build/bench-crossing.svg.
"""
import json
import math
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WIDTH, HEIGHT, LEFT, TOP, GAP = 330, 220, 60, 34, 96
COLUMNS = 2
COLOURS = {"processor": "#1f5f9f", "device": "#c0392b"}


def scale(values, low, high):
    first, last = math.log10(min(values)), math.log10(max(values))
    span = (last - first) or 1
    return lambda value: low + (math.log10(value) - first) / span * (high - low)


def curve(points, colour):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']


def ticks(values):
    return [10 ** n for n in range(math.ceil(math.log10(min(values))), math.floor(math.log10(max(values))) + 1)]


def panel(row, left, top):
    table = row["table"]
    sizes = [line[0] for line in table]
    times = [max(t, 0.01) for line in table for t in line[1:]]
    x, y = scale(sizes, left, left + WIDTH), scale(times, top + HEIGHT, top)
    title = f'{row["row"]}: ' + ("never" if row["never"] else f'{row["value"]:.0f} rows')
    out = [f'<text x="{left}" y="{top - 12}" font-weight="bold">{title}</text>',
           f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#888"/>']
    for tick in ticks(times):
        out += [f'<line x1="{left}" x2="{left + WIDTH}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>',
                f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g} us</text>']
    for size in sizes[::3]:
        out.append(f'<text x="{x(size):.1f}" y="{top + HEIGHT + 16}" text-anchor="middle">{size}</text>')
    for index, (side, colour) in enumerate(COLOURS.items(), 1):
        out += curve([(x(line[0]), y(max(line[index], 0.01))) for line in table], colour)
        name = row["baseline_name"] if side == "processor" else "the GPU (gpud)"
        out.append(f'<text x="{left + 8}" y="{top + 2 + 16 * index}" fill="{colour}">{name}</text>')
    if not row["never"]:
        at = x(row["value"])
        out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + HEIGHT}" stroke="#444" '
                   'stroke-dasharray="4 3"/>')
    return out


def draw(rows):
    lines = (len(rows) + COLUMNS - 1) // COLUMNS
    width, height = COLUMNS * (WIDTH + GAP) + LEFT, lines * (HEIGHT + GAP) + TOP
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>']
    for index, row in enumerate(rows):
        out += panel(row, LEFT + 20 + index % COLUMNS * (WIDTH + GAP), TOP + index // COLUMNS * (HEIGHT + GAP))
    return "\n".join([*out, "</svg>", ""])


def main():
    target = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/bench-crossing.svg")
    with open(os.path.join(ROOT, "build/bench.json"), encoding="utf-8") as file:
        rows = [row for row in json.load(file) if row["row"].startswith("batch_crossing_")]
    if not rows:
        sys.exit("crossing.py: build/bench.json has no rows batch_crossing_*: run make bench ROW=batch_ first")
    with open(target, "w", encoding="utf-8") as file:
        file.write(draw(rows))
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
