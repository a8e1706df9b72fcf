#!/usr/bin/env python3
"""benches/draw.py FILE: draws benches/speed.svg from what benches/run.sh measured, and writes the
figures into the README. Run it on the machine that measured: it names that machine and the day.
"""

import datetime
import os
import re
import sys
from html import escape
from math import log10
from pathlib import Path

sys.dont_write_bytecode = True
from table import OURS, Figures, time

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
PICTURE = HERE / "speed.svg"
BEGIN, END = "<!-- benches/draw.py writes from here -->", "<!-- to here -->"
BARE = "the bare signature check"


def bars(figures, case):
    """Who, and how many nanoseconds, the fastest first."""
    return sorted(((line["crate"], time(line)) for line in figures.all(case)), key=lambda it: it[1])


def panels(figures):
    """The parts of the picture: a title, and its bars."""
    for suffix, name in [("rs256", "RS256"), ("es256", "ES256")]:
        yield f"A token seen before: the JWT layer, {name}", bars(figures, f"warm_jwt_{suffix}")
        yield f"A token seen before: the whole job, {name}", bars(figures, f"warm_stack_{suffix}")
    for suffix, name in [("rs256", "RS256"), ("es256", "ES256"), ("eddsa", "EdDSA")]:
        bare = (BARE, figures.time(f"bare_verify_{suffix}", "none"))
        new = bars(figures, f"cold_jwt_{suffix}")
        yield f"A new token: the JWT layer, {name}", [bare, *new]


def said(ns):
    """A time as one reads it, to two or three digits."""
    for unit, name in [(1e6, "ms"), (1e3, "µs")]:
        if ns >= unit:
            return f"{ns / unit:.{1 if ns < 100 * unit and ns % unit else 0}f} {name}"
    return f"{ns:.0f} ns"


def svg(figures):
    """Bars on a logarithmic scale, for each panel."""
    width, left, right, row = 860, 250, 80, 20
    first, last = 2, 6  # 100 ns to 1 ms
    step = (width - left - right) / (last - first)
    out, y = [], 16

    def text(x, y, what, more=""):
        out.append(f'<text x="{x:.1f}" y="{y}" {more}>{escape(what)}</text>')

    what = "What a request costs more than without layers. Each line is ten times the one before."
    text(16, 24, what, 'fill="#57606a"')
    y += 14
    for title, rows in panels(figures):
        y += 22
        text(16, y, title, 'font-weight="bold"')
        y += 8
        for power in range(first, last + 1):
            x = left + (power - first) * step
            bottom = y + row * len(rows)
            out.append(f'<path d="M{x:.1f} {y}V{bottom}" stroke="#d0d7de"/>')
            text(x, bottom + 12, said(10**power), 'font-size="10" fill="#57606a" text-anchor="middle"')
        for who, ns in rows:
            length = max(log10(max(ns, 1)) - first, 0.02) * step
            color = {OURS: "#1f6feb", BARE: "#8c959f"}.get(who, "#bf8700")
            out.append(
                f'<rect x="{left}" y="{y + 4}" width="{length:.1f}" height="{row - 7}" fill="{color}"/>'
            )
            text(left - 8, y + 15, who, 'text-anchor="end"')
            text(left + length + 6, y + 15, said(ns))
            y += row
        y += 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" '
        f'height="{y}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2328">\n'
        "<title>What a request costs more than without layers</title>\n"
        f'<rect width="{width}" height="{y}" rx="8" fill="#ffffff"/>\n' + "\n".join(out) + "\n</svg>\n"
    )


def versus(figures, case):
    """A row's cells: ours, then the others with how many times longer they take."""
    ours = figures.time(case)
    others = [
        f"{who} {said(ns)} ({ns / ours:.{0 if ns / ours >= 10 else 2}f} ×)"
        for who, ns in bars(figures, case)
        if who != OURS
    ]
    return f"{said(ours)} | {', '.join(others)}"


def rows(figures):
    """The rows of the table."""
    for suffix, name in [("rs256", "RS256"), ("es256", "ES256")]:
        yield f"JWT layer, token seen before, {name} | {versus(figures, f'warm_jwt_{suffix}')}"
        yield f"the whole job, token seen before, {name} | {versus(figures, f'warm_stack_{suffix}')}"
    for suffix, name in [("rs256", "RS256"), ("es256", "ES256"), ("eddsa", "EdDSA")]:
        case = f"cold_jwt_{suffix}"
        bare = said(figures.time(f"bare_verify_{suffix}", "none"))
        yield f"JWT layer, new token, {name} (bare check: {bare}) | {versus(figures, case)}"
    for size, name in [("264", "264 B"), ("4k", "4 KiB"), ("256k", "256 KiB"), ("4m", "4 MiB")]:
        skim = said(figures.time(f"skim_{size}", "none"))
        peek = said(figures.time(f"peek_{size}"))
        yield f"reading a message of {name} | {peek} | `serde_json` that ignores most of it {skim}"


def wire_rows(figures):
    """The rows of the table of requests a second and core."""
    bare = {"wire_plain": "axum, no layer", "wire_bare_proxy": "bare hyper proxy"}
    ours = {
        "wire_stack": "axum, the whole stack",
        "wire_gateway": "the gateway",
        "wire_gateway_audited": "the gateway, with an audit log",
    }
    cases = ["wire_plain", "wire_stack", "wire_jwt_peer"]
    for case in [*cases, "wire_bare_proxy", "wire_gateway", "wire_gateway_audited"]:
        for line in figures.all(case):
            who = bare.get(case) or ours.get(case) or f"axum, the JWT layer of {line['crate']}"
            yield f"{who} | {line['requests_per_cpu_second']:,.0f} | {said(time(line))}"


def section(figures, day):
    cpuinfo = Path("/proc/cpuinfo").read_text()
    cpu = re.search(r"model name\s*: (.*)", cpuinfo)
    cpu = cpu[1] if cpu else "an unknown CPU"
    table = "\n".join(f"| {row} |" for row in rows(figures))
    wire = "\n".join(f"| {row} |" for row in wire_rows(figures))
    return f"""
![Bars: what a request costs more than without layers](benches/{PICTURE.name})

| a request costs more than without layers | mcp-auth | others (times ours) |
|---|---|---|
{table}

| over loopback, token seen before, RS256 | requests for each second of CPU | CPU time of one |
|---|---|---|
{wire}

Measured on {day:%-d %B %Y}: {cpu}, {os.cpu_count()} cores.
"""


def main():
    path = Path(sys.argv[1])
    figures = Figures(path)
    day = datetime.date.fromtimestamp(path.stat().st_mtime)
    PICTURE.write_text(svg(figures), encoding="utf-8")
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}{section(figures, day)}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
