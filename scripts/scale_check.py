#!/usr/bin/env python3
"""Mines many images with unique bytes: killed three times at random, and in shards that are merged in random order, twice.

Usage: scale_check.py QUARRY FOLDER [IMAGES] [SHARDS]

QUARRY is the program, FOLDER a new folder for images and projects (about 30 KB an image), removed at the end. The model is
tests/fixtures/models/cells.onnx. Prints images a second, what a kill costs and peak memory; fails where a run that was killed, or the shards,
give anything but what one run in one go gives, where more than a batch may be lost, or where the peak is over 1.5 GB.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

SIDE = 96
MODEL = Path(__file__).resolve().parent.parent / "tests/fixtures/models/cells.onnx"
MOST_MB = 1500
# Images that are kept with one transaction: what a kill loses at most.
BATCH = 16


def png(number: int) -> bytes:
    """Noise that no other image has; every fifth has an unannotated red or green square."""
    noise = random.Random(number).randbytes(SIDE * SIDE)
    rows = []
    for y in range(SIDE):
        row = bytearray(3 * SIDE)
        row[2::3] = noise[y * SIDE:(y + 1) * SIDE]
        if number % 5 == 0 and 24 <= y < 48:
            colour = bytes((255, 0, 0)) if number % 2 else bytes((0, 255, 0))
            row[48 * 3:72 * 3] = colour * 24
        rows.append(b"\0" + bytes(row))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(rows), 1)) + chunk(b"IEND", b"")


def generate(folder: Path, count: int) -> None:
    images = []
    for number in range(count):
        name = f"{number // 1000:03}/{number:06}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(number))
        images.append({"id": number + 1, "file_name": name, "width": SIDE, "height": SIDE})
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]
    (folder / "data.json").write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))


class Quarry:
    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder, self.peak_mb = program, folder, 0.0

    def run(self, *args: str, kill_at=None, must=True) -> int:
        """The exit code, or minus the signal. `kill_at` is called repeatedly and returns whether to kill the program."""
        child = subprocess.Popen([self.program, *args], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if kill_at and kill_at():
                os.kill(child.pid, signal.SIGKILL)
                kill_at = None
            time.sleep(0.005 if kill_at else 0.05)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.peak_mb = max(self.peak_mb, used.ru_maxrss / 1024)
        if must and child.returncode != 0:
            sys.exit(f"{' '.join(args)}: exit code {child.returncode}\n{child.stderr.read().decode(errors='replace')[-2000:]}")
        child.stderr.close()
        return child.returncode


def kept(project: Path) -> list:
    database = sqlite3.connect(f"file:{project / 'quarry.db'}?mode=ro", uri=True)
    candidates = "SELECT name, x1, y1, x2, y2, score, kind FROM candidates JOIN images ON images.id = image_id ORDER BY 1, 2, 3"
    detections = "SELECT count(*) FROM detections"
    rounds = "SELECT number, state FROM rounds"
    found = [database.execute(sql).fetchall() for sql in (candidates, detections, rounds)]
    database.close()
    return found


def done(project: Path) -> int:
    """Images that are kept."""
    try:
        database = sqlite3.connect(f"file:{project / 'quarry.db'}?mode=ro", uri=True)
        count = database.execute("SELECT count(*) FROM mined_images").fetchone()[0]
        database.close()
        return count
    except sqlite3.OperationalError:
        return 0


class Watch:
    """Says when as many images as chosen are kept, and by how many they grow at once."""

    def __init__(self, project: Path, limit: int) -> None:
        self.project, self.limit, self.last, self.steps = project, limit, 0, []

    def __call__(self) -> bool:
        now = done(self.project)
        if self.last and now > self.last:
            self.steps.append(now - self.last)
        self.last = now
        return now > self.limit


def main() -> None:
    program, folder = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve()
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 50_000
    shards = int(sys.argv[4]) if len(sys.argv) > 4 else 64
    folder.mkdir()
    begun = time.time()
    generate(folder / "images", count)
    print(f"{count} images made in {time.time() - begun:.0f} s", flush=True)
    quarry = Quarry(program, folder)
    quarry.run("new", "whole")
    quarry.run("import", "coco", "images/data.json", "--project", "whole")
    # Embeddings of thousands of crops are not measured here.
    quarry.run("group", "--project", "whole", "--cosine", "off")
    for name in ("killed", "merged"):
        shutil.copytree(folder / "whole", folder / name)
    mine = ["mine", "--model", str(MODEL), "--name", "cells", "--device", "cpu", "--project"]

    begun = time.time()
    quarry.run(*mine, "whole")
    took = time.time() - begun
    expected = kept(folder / "whole")
    print(f"one run: {took:.0f} s, {count / took:.0f} images/s with grouping, {len(expected[0])} candidates, peak {quarry.peak_mb:.0f} MB", flush=True)

    begun = time.time()
    for limit in sorted(random.SystemRandom().sample(range(count // 20, count * 19 // 20), 3)):
        watch = Watch(folder / "killed", limit)
        code = quarry.run(*mine, "killed", kill_at=watch, must=False)
        assert code == -signal.SIGKILL, f"not killed: {code}"
        usual = statistics.mode(watch.steps)
        assert usual <= BATCH, f"{usual} images are kept at once"
        print(f"killed -9 at {done(folder / 'killed')} images, which are kept by {usual}", flush=True)
    quarry.run(*mine, "killed")
    assert kept(folder / "killed") == expected, "the killed run ends in something else"
    again = time.time() - begun
    print(f"killed three times: the same as in one go, {again:.0f} s with the starts, peak {quarry.peak_mb:.0f} MB", flush=True)

    order = list(range(1, shards + 1))
    random.Random(1).shuffle(order)
    begun = time.time()
    for number in order:
        quarry.run(*mine, "merged", "--shard", f"{number}/{shards}", "--out", "shards")
    print(f"{shards} shards written in {time.time() - begun:.0f} s", flush=True)
    files = sorted((folder / "shards").glob("*.jsonl"))
    assert len(files) == shards
    random.Random(2).shuffle(files)
    half = [str(file) for file in files[: shards // 2]]
    assert quarry.run("merge", *half, "--project", "merged", must=False) == 1, "missing shards are an error"
    for time_of in ("once", "twice"):
        random.Random(time_of).shuffle(files)
        begun = time.time()
        quarry.run("merge", *[str(file) for file in files], "--project", "merged")
        assert kept(folder / "merged") == expected, f"merged {time_of}: something else"
        print(f"merged {time_of} in random order: the same as in one go, {time.time() - begun:.0f} s", flush=True)
    print(f"peak {quarry.peak_mb:.0f} MB")
    assert quarry.peak_mb < MOST_MB, "too much memory"
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
