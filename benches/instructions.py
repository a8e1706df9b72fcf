#!/usr/bin/env python3
"""benches/instructions.py [--renew]: counts the instructions of a request and compares them with
benches/instructions.txt; ends with 1 where one has grown by more than a twentieth.

--renew writes that file anew: after a change that is worth its price, or with another compiler.
Counts are of code, not of time: they are the same on a busy machine. Valgrind shows every program
the same CPU, and of a new token the signature check, in which CPUs differ most, is taken off.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
STORED = HERE / "instructions.txt"
TIMES = int(re.search(r"TIMES: usize = (\d+);", (HERE / "instructions.rs").read_text())[1])
RUNNER = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
    "--collect-atstart=no",
    "--toggle-collect=instructions::counted",
]


def count(case):
    """Instructions of one time."""
    runner = ",".join(f'"{word}"' for word in RUNNER)
    command = ["cargo", "bench", "--locked", "--quiet", "--bench", "instructions"]
    command += ["--config", f"target.'cfg(all())'.runner = [{runner}]", "--", case]
    done = subprocess.run(command, cwd=HERE.parent, stderr=subprocess.PIPE, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(done.stderr)
    return int(found[1]) // TIMES


def main():
    counts = {"warm": count("warm"), "cold": count("cold") - count("signature")}
    if sys.argv[1:] == ["--renew"]:
        STORED.write_text("".join(f"{case} {n}\n" for case, n in counts.items()))
        return
    stored = dict(line.split() for line in STORED.read_text().splitlines())
    has_grown = False
    for case, n in counts.items():
        change = n / int(stored[case]) - 1
        has_grown |= change > 0.05
        print(f"{case}: {n} instructions, stored {stored[case]} ({change:+.1%})")
    if has_grown:
        sys.exit("a request has become dearer by more than a twentieth: benches/instructions.py --renew")


if __name__ == "__main__":
    main()
