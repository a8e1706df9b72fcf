#!/usr/bin/env python3
"""benches/table.py FILE: prints what benches/run.sh measured as one table, and which targets are met.

Ends with 1 if a target is missed or was not measured. With BENCH_QUICK set none is judged, but every
case must be there.
"""

import json
import os
import sys

OURS = "mcp-auth"
CASES = """
warm_jwt_rs256 warm_jwt_es256 warm_stack_rs256 warm_stack_es256
cold_jwt_rs256 cold_jwt_es256 cold_jwt_eddsa bare_verify_rs256 bare_verify_es256 bare_verify_eddsa
junk_refused peek_264 peek_4k peek_256k peek_4m skim_264 skim_4k skim_256k skim_4m
growth_tokens growth_revocations growth_limits growth_rules threads_2
flood_unknown_kid flood_garbage flood_bad_signature flood_subjects
wire_plain wire_stack wire_jwt_peer wire_gateway wire_bare_proxy
""".split()


class Figures:
    """The lines of a file."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.lines = [json.loads(line) for line in file]

    def of(self, case, by=OURS):
        """The line of a case that has one."""
        return next(line for line in self.lines if line["case"] == case and line["crate"] == by)

    def all(self, case):
        return [line for line in self.lines if line["case"] == case]

    def time(self, case, by=OURS):
        return time(self.of(case, by))

    def others(self, case):
        """The times of everyone else."""
        return [time(line) for line in self.all(case) if line["crate"] != OURS]


def time(line):
    """Nanoseconds, whichever way they were counted."""
    return next(line[key] for key in ("net_ns", "cpu_ns", "ns") if key in line)


def at_least(least):
    return lambda value: value >= least, f"at least {least:g}"


def at_most(most):
    return lambda value: value <= most, f"at most {most:g}"


def growth(f, case):
    """How much more it costs beside the most than beside the fewest."""
    lines = sorted(f.all(case), key=lambda line: line["n"])
    return time(lines[-1]) / time(lines[0])


def memory(f, case):
    """Megabytes that the second half of a flood added."""
    line = f.of(case)
    return line["rss_mb_after"] - line["rss_mb_half"]


def targets():
    """What must hold: the name, the value, and the bound."""
    for suffix, alone, whole in [("rs256", 80, 20), ("es256", 200, 50)]:
        jwt, stack = f"warm_jwt_{suffix}", f"warm_stack_{suffix}"
        yield (
            f"{jwt}: times faster than the fastest other",
            lambda f, case=jwt: min(f.others(case)) / f.time(case),
            at_least(alone),
        )
        yield (
            f"{stack}: times faster than the job put together by hand",
            lambda f, case=stack: f.time(case, "hand-assembled") / f.time(case),
            at_least(whole),
        )
        yield (
            f"{stack}: times the reading of the message",
            lambda f, case=stack: f.time(case) / f.of(case)["peek_264_ns"],
            at_most(2.7),
        )
        yield f"{stack}: allocations", lambda f, case=stack: f.of(case)["allocs"], at_most(10)
    for suffix in ["rs256", "es256", "eddsa"]:
        case = f"cold_jwt_{suffix}"
        yield (
            f"{case}: times the bare signature check",
            lambda f, case=case, suffix=suffix: f.time(case)
            / f.time(f"bare_verify_{suffix}", "none"),
            at_most(1.15),
        )
        yield (
            f"{case}: times faster than the fastest other",
            lambda f, case=case: min(f.others(case)) / f.time(case),
            at_least(1),
        )
    yield (
        "junk_refused: part of the bare signature check, the worst",
        lambda f: max(time(line) / line["bare_verify_ns"] for line in f.all("junk_refused")),
        at_most(0.1),
    )
    for size in ["264", "4k", "256k", "4m"]:
        yield (
            f"peek_{size}: times a borrowed skim",
            lambda f, size=size: f.time(f"peek_{size}") / f.time(f"skim_{size}", "none"),
            at_most(1.25),
        )
    for what in ["tokens", "revocations", "limits", "rules"]:
        case = f"growth_{what}"
        yield f"{case}: times the cost with few", lambda f, case=case: growth(f, case), at_most(2)
    yield (
        "threads_2: times the work of one",
        lambda f: f.of("threads_2")["times_the_work_of_one"],
        at_least(1.6),
    )
    yield (
        "wire_stack: part of the bare service's requests a core",
        lambda f: f.time("wire_plain", "none") / f.time("wire_stack"),
        at_least(0.75),
    )
    yield (
        "wire_stack: times the requests a core of the fastest other's JWT layer",
        lambda f: min(f.others("wire_jwt_peer")) / f.time("wire_stack"),
        at_least(4),
    )
    yield (
        "wire_gateway: times the time of a bare proxy",
        lambda f: f.time("wire_gateway") / f.time("wire_bare_proxy", "none"),
        at_most(1.3),
    )
    for what in ["unknown_kid", "garbage", "bad_signature", "subjects"]:
        case = f"flood_{what}"
        yield (
            f"{case}: times the cost without it",
            lambda f, case=case: f.of(case)["times_alone"],
            at_most(2),
        )
        yield (
            f"{case}: MB that its second half added",
            lambda f, case=case: memory(f, case),
            at_most(8),
        )


def print_table(figures):
    print(f"{'case':24} {'crate':32} {'ns':>12} {'allocs':>7}  more")
    shown = {"case", "crate", "net_ns", "cpu_ns", "ns", "allocs"}
    for line in figures.lines:
        has_time = {"net_ns", "cpu_ns", "ns"} & line.keys()
        ns = f"{time(line):,.0f}" if has_time else ""
        more = "  ".join(f"{key} {line[key]}" for key in line if key not in shown)
        print(f"{line['case']:24} {line['crate']:32} {ns:>12} {line.get('allocs', ''):>7}  {more}")
    print("\nOf wire cases: CPU time of the server for one request. Of others: what a layer or a stack")
    print("adds to a service without it; of the crate none: the bare work.")


def judge(figures):
    """Prints each target, and tells whether all are met."""
    print()
    all_met = True
    for name, value_of, (holds, bound) in targets():
        try:
            value = value_of(figures)
            met, said = holds(value), f"{value:.4g}"
        except (StopIteration, ValueError, IndexError):
            met, said = False, "not measured"
        all_met &= met
        print(f"{'met   ' if met else 'MISSED'} {name}: {said} ({bound})")
    return all_met


def main():
    figures = Figures(sys.argv[1])
    print_table(figures)
    missing = set(CASES) - {line["case"] for line in figures.lines}
    if missing:
        sys.exit(f"not measured: {' '.join(sorted(missing))}")
    if "BENCH_QUICK" in os.environ:
        print("\nA quick run: the figures are none to judge by.")
    elif not judge(figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
