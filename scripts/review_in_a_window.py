#!/usr/bin/env python3
"""A review of 300 candidates in a real window, by real keys, with three `kill -9`.

    scripts/review_in_a_window.py QUARRY PROJECT [SCREENSHOT_DIR]

QUARRY is the built program, PROJECT a project with at least 300 undecided candidates. Needs Xvfb, xdotool and, for screenshots, ImageMagick.
Prints verdicts a minute and the most memory that the program took. Ends with 1 when anything of this does not hold:

- after each kill every verdict which another connection had seen is still there, and the database is whole;
- the log holds what the keys said: of each stretch of keys between two kills the first so many, in their order, with the verdict and the
  reason of each; of the last stretch all;
- each candidate that a key decided on has one row in the log, and shows that row's verdict.
"""

import collections
import os
import sqlite3
import subprocess
import sys
import time

# A key, and the verdict and reason that the log must have. The reason of a digit is another one where all classes are faces.
KEYS = [
    ("a", ("confirmed", None)),
    ("x", ("rejected", None)),
    ("a", ("confirmed", None)),
    ("space", ("skipped", None)),
    ("a", ("confirmed", None)),
    ("3", ("rejected", "reflection or shadow")),
]
FACE_REASONS = {"reflection": "reflection or shadow"}
VERDICTS = 300
KILLS_AT = [70, 150, 230]
DISPLAY = ":97"


def log_of(database):
    """The uids of all rows of the verdict log, read through a separate connection."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    rows = [row[0] for row in connection.execute("SELECT uid FROM verdicts ORDER BY seq")]
    connection.close()
    return rows


def decisions_of(database):
    """Candidate, verdict and reason of all rows of the log, and the verdict that each candidate shows."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    rows = connection.execute("SELECT candidate_id, verdict, reason FROM verdicts ORDER BY seq").fetchall()
    shown = dict(connection.execute("SELECT id, verdict FROM candidates WHERE verdict IS NOT NULL"))
    connection.close()
    return rows, shown


def check_keys(decisions, stretches, start):
    """`stretches`: the verdicts of the keys of each stretch, and the number of log rows at its end."""
    at = start
    for number, (said, end) in enumerate(stretches, 1):
        found = [(verdict, FACE_REASONS.get(reason, reason)) for _, verdict, reason in decisions[at:end]]
        if found != said[: len(found)]:
            first = next(k for k, (row, key) in enumerate(zip(found, said + [None] * len(found))) if row != key)
            wanted = said[first] if first < len(said) else "nothing"
            sys.exit(f"WRONG: stretch {number}, key {first + 1}: the log says {found[first]}, the key said {wanted}")
        at = end
    said, end = stretches[-1]
    before = stretches[-2][1] if len(stretches) > 1 else start
    if end - before != len(said):
        sys.exit(f"LOST: {len(said)} keys in the last stretch, {end - before} rows in the log")


def check_candidates(decisions, shown, start):
    counts = collections.Counter(candidate for candidate, _, _ in decisions[start:])
    twice = [candidate for candidate, count in counts.items() if count > 1]
    if twice:
        sys.exit(f"WRONG: decided on more than once: candidates {twice[:10]} ({len(twice)} in all)")
    for candidate, verdict, _ in decisions[start:]:
        if shown.get(candidate) != verdict:
            sys.exit(f"WRONG: candidate {candidate} shows {shown.get(candidate)}, its row in the log says {verdict}")
    return len(counts)


def peak_memory_mb(process):
    """The peak resident memory of the process so far; 0 if it has ended."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            return next((int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def check_whole(database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    if answer != "ok":
        sys.exit(f"{database} is damaged after a kill: {answer}")


def xdotool(*arguments):
    return subprocess.run(["xdotool", *arguments], env=environment, check=False, capture_output=True, text=True).stdout


def open_window(quarry, project):
    """The running program, once its review screen reads keys."""
    started = subprocess.Popen([quarry, "--project", project], env=environment, stderr=subprocess.DEVNULL)
    for _ in range(300):
        window = xdotool("search", "--onlyvisible", "--name", "^Quarry$").split()
        if window:
            break
        time.sleep(0.1)
    else:
        sys.exit("the window did not open")
    xdotool("mousemove", "720", "500")
    xdotool("windowfocus", "--sync", window[0])
    time.sleep(1.0)
    xdotool("key", "ctrl+2")
    time.sleep(1.5)
    return started


def screenshot(name):
    if len(sys.argv) > 3:
        os.makedirs(sys.argv[3], exist_ok=True)
        path = os.path.join(sys.argv[3], name)
        subprocess.run(["import", "-window", "root", path], env=environment, check=False)


def main():
    quarry, project = sys.argv[1], sys.argv[2]
    database = os.path.join(project, "quarry.db")
    start_count = len(log_of(database))
    window = open_window(quarry, project)
    kills, busy_s, sent, rates = list(KILLS_AT), 0.0, 0, []
    done, memory_mb, stretches = 0, 0, []
    while done < VERDICTS:
        goal = kills[0] if kills else VERDICTS
        # Enough keys that some are still queued when the program is killed.
        surplus = 12 if kills else 0
        count = goal + surplus - done
        chosen = [KEYS[(sent + k) % len(KEYS)] for k in range(count)]
        keys, said = [key for key, _ in chosen], [meaning for _, meaning in chosen]
        begun = time.monotonic()
        typing = subprocess.Popen(["xdotool", "key", "--delay", "4", *keys], env=environment)
        sent += count
        first = done
        while done < goal:
            if time.monotonic() - begun > 120:
                sys.exit(f"the window stopped taking keys: {done} of {goal}")
            done = len(log_of(database)) - start_count
            time.sleep(0.002)
        took = time.monotonic() - begun
        rates.append((done - first) / took * 60)
        busy_s += took
        if kills:
            kills.pop(0)
            seen = log_of(database)
            memory_mb = max(memory_mb, peak_memory_mb(window))
            window.kill()
            window.wait()
            typing.wait()
            check_whole(database)
            after = log_of(database)
            if after[: len(seen)] != seen:
                sys.exit(f"LOST: {len(seen)} verdicts were committed, {len(after)} are there after kill -9")
            print(f"kill -9 after {len(seen) - start_count} verdicts: all there ({len(after) - start_count})")
            stretches.append((said, len(after)))
            window = open_window(quarry, project)
            done = len(after) - start_count
        else:
            typing.wait()
            # An extra key would show now.
            time.sleep(1.0)
            stretches.append((said, len(log_of(database))))
    print(f"{done} verdicts in {busy_s:.2f} s of typing: {done / busy_s * 60:.0f} a minute")
    print("by stretch:", ", ".join(f"{rate:.0f}" for rate in rates))
    decisions, shown = decisions_of(database)
    check_keys(decisions, stretches, start_count)
    candidates = check_candidates(decisions, shown, start_count)
    print(f"{len(decisions) - start_count} rows say what their keys said, on {candidates} candidates, one each")
    screenshot("queue.png")
    for key, name in [("g", "grid.png"), ("g", ""), ("h", "history.png"), ("h", ""), ("p", "annotators.png"), ("p", ""),
                      ("f", "missed_face.png"), ("Escape", "")]:
        xdotool("key", key)
        time.sleep(1.2)
        if name:
            screenshot(name)
    memory_mb = max(memory_mb, peak_memory_mb(window))
    print(f"memory: {memory_mb} MB at most")
    window.terminate()
    window.wait()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    environment = {**os.environ, "DISPLAY": DISPLAY}
    environment.pop("WAYLAND_DISPLAY", None)
    server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1440x900x24"], stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    try:
        main()
    finally:
        server.terminate()
        server.wait()
