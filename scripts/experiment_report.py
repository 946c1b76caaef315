#!/usr/bin/env python3
"""Reads the rounds' reports that scripts/experiment.sh wrote and prints their table as Markdown; draws the figure where matplotlib is.

    scripts/experiment_report.py OUT [FIGURE.svg]

OUT/seed-N[-ARM].round-R.json are `quarry train --json` reports. A curve's value at n false positives is that of its last point with
at most n of them. Spread is the standard deviation over seeds (n - 1); gains over arm (a) are taken seed by seed, since the arms of a
seed share their round 1.
"""
import json
import os
import re
import statistics
import sys
from pathlib import Path

AT = (10, 30, 100)
ARMS = {"shared": "shared", "none": "(a) no hard negatives", "unreviewed": "(b) all candidates", "confirmed": "(c) reviewed",
        "ohem": "(d) OHEM"}
STYLES = dict(zip(ARMS, (":", "-", "--", "-.", (0, (8, 1, 1, 1, 1, 1)))))
# The test fold, as in scripts/experiment.sh.
FOLD = os.environ.get("TEST_FOLD", "8")


def reports(out):
    """{(round, arm): {seed: report}}, by round and in the order of ARMS, others by name."""
    found = {}
    for file in Path(out).glob("seed-*.round-*.json"):
        match = re.fullmatch(r"seed-(\d+)(?:-([\w-]+))?\.round-(\d+)\.json", file.name)
        arm = match and (match[2] or "shared")
        if arm:
            found.setdefault((int(match[3]), arm), {})[int(match[1])] = json.loads(file.read_text())
    place = lambda arm: (list(ARMS).index(arm), "") if arm in ARMS else (len(ARMS), arm)
    order = sorted(found, key=lambda key: (key[0], place(key[1])))
    return {key: dict(sorted(found[key].items())) for key in order}


def label(key):
    return f"{key[0]}, {ARMS.get(key[1], key[1])}"


def curves_of(seeds, shape):
    """The curves of one arm, one a seed."""
    return [dict(map(tuple, report["curves"]))[shape] for report in seeds.values()]


def rates(curve, n):
    """(discrete, continuous) true positive rate at n false positives."""
    points = [p for p in curve["points"] if p["false_positives"] <= n]
    best = max(points, key=lambda p: p["discrete"], default={"discrete": 0, "continuous": 0})
    return best["discrete"] / curve["faces"], best["continuous"] / curve["faces"]


def mean_and_spread(values, form=".3f"):
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{spread}"


def table(found, shape):
    head = " | ".join(f"discrete @{n} | continuous @{n}" for n in AT)
    print(f"\n| {shape}s: round, arm | seeds | {head} | min |\n|---" + "|---" * (2 * len(AT) + 2) + "|")
    for key, seeds in found.items():
        curves = curves_of(seeds, shape)
        cells = []
        for n in AT:
            for values in zip(*(rates(c, n) for c in curves)):
                cells.append(mean_and_spread(values))
        minutes = statistics.mean(r["seconds"] for r in seeds.values()) / 60
        print(f"| {label(key)} | {len(seeds)} | " + " | ".join(cells) + f" | {minutes:.1f} |")


def gains(found, shape):
    """Each arm's rates minus arm (a)'s of the same round and seed."""
    head = " | ".join(f"discrete @{n} | continuous @{n}" for n in AT)
    print(f"\n| {shape}s, above (a) of the same round | seeds | {head} |\n|---" + "|---" * (2 * len(AT) + 1) + "|")
    for (number, arm), seeds in found.items():
        base = found.get((number, "none"), {})
        shared = sorted(set(seeds) & set(base))
        if arm in ("shared", "none") or not shared:
            continue
        own, others = (curves_of({s: reports[s] for s in shared}, shape) for reports in (seeds, base))
        cells = []
        for n in AT:
            pairs = zip(*([a - b for a, b in zip(rates(x, n), rates(y, n))] for x, y in zip(own, others)))
            cells.extend(mean_and_spread(values, "+.3f") for values in pairs)
        print(f"| {label((number, arm))} | {len(shared)} | " + " | ".join(cells) + " |")


def sampler(found):
    print("\n| RoIs a round (mean) | foreground | background | forced hard negatives | ignored | RPN: forced | hard negatives known |")
    print("|---|---|---|---|---|---|---|")
    for key, seeds in found.items():
        mean = lambda count: round(statistics.mean(r["sampler"][count] for r in seeds.values()))
        known = round(statistics.mean(r["hard_negatives"] for r in seeds.values()))
        counts = ("foreground", "background", "forced", "ignored", "rpn_forced")
        print(f"| {label(key)} | " + " | ".join(str(mean(count)) for count in counts) + f" | {known} |")


def figure(found, file):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "quarry"
    import matplotlib.pyplot as plt
    grid = sorted({round(10 ** (i / 20)) for i in range(0, 51)})
    rounds = sorted({number for number, arm in found if arm != "shared"}) or [1]
    fig, rows = plt.subplots(len(rounds), 2, figsize=(11, 4.5 * len(rounds)), sharex=True, sharey="col", squeeze=False)
    for number, axes in zip(rounds, rows):
        shown = {arm: seeds for (n, arm), seeds in found.items() if n == number or arm == "shared"}
        for axis, part, name in ((axes[0], 0, "discrete"), (axes[1], 1, "continuous")):
            for arm, seeds in shown.items():
                values = [[rates(c, n)[part] for n in grid] for c in curves_of(seeds, "ellipse")]
                mean = [statistics.mean(v) for v in zip(*values)]
                name_of_line = "round 1" if arm == "shared" else f"round {number}, {ARMS.get(arm, arm)}"
                line, = axis.plot(grid, mean, linestyle=STYLES.get(arm, "-"), label=name_of_line)
                lowest, highest = ([end(v) for v in zip(*values)] for end in (min, max))
                axis.fill_between(grid, lowest, highest, alpha=0.12, color=line.get_color(), linewidth=0)
            axis.set_xscale("log")
            axis.set_ylabel(f"{name} true positive rate")
            axis.grid(alpha=0.3)
        axes[0].legend(loc="lower right")
    for axis in rows[-1]:
        axis.set_xlabel(f"false positives on fold {FOLD}")
    fig.tight_layout()
    fig.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    found = reports(sys.argv[1])
    if not found:
        sys.exit(f"{sys.argv[1]}: no seed-N[-ARM].round-R.json there; run scripts/experiment.sh first")
    for shape in ("rectangle", "ellipse"):
        table(found, shape)
    for shape in ("rectangle", "ellipse"):
        gains(found, shape)
    sampler(found)
    if len(sys.argv) > 2:
        figure(found, sys.argv[2])
