#!/usr/bin/env python3
"""Times imports and evaluations of large datasets, and compares the evaluations with pycocotools and tidecv.

    python3 -m venv venv && venv/bin/pip install numpy pillow pycocotools tidecv
    venv/bin/python scripts/dataset_figures.py QUARRY FOLDER [CHECK]...

QUARRY is a release build, FOLDER a folder that may grow to 3 GB; what is in it already is used again. CHECK is import, boxes, coco, tide or
tide-large; without any all are made but tide-large, which takes tidecv many minutes. Prints wall and processor time and peak memory of each
program; fails where a number of COCO's differs by more than 1e-9, or one of TIDE's by more than 1e-6.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

IMAGES, BOXES = 100_000, 1_000_000


def measured(*command):
    """What a program prints, its wall and processor seconds, and its peak memory in MB."""
    start = time.time()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    printed = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command}: exit code {child.returncode}")
    seconds, cpu, mb = time.time() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(f"  {Path(str(command[0])).name}: {seconds:.1f} s, {cpu:.1f} s of processor time, {mb:.0f} MB", flush=True)
    return printed, cpu


def images(folder, count):
    """JPEG noise of 100 x 100 pixels, 10 KB each including bytes appended to the image."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(1)
    for k in range(count):
        path = folder / f"{k // 1000:03}/{k:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        jpeg = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (100, 100, 3), dtype=np.uint8)).save(jpeg, "JPEG")
        path.write_bytes(jpeg.getvalue() + random.bytes(2900))


def annotations(out, boxes, images=IMAGES):
    """COCO ground truth of 20 classes on the first of those images, with a polygon an object."""
    import numpy as np

    random = np.random.default_rng(3)
    image, category = random.integers(1, images + 1, boxes), random.integers(1, 21, boxes)
    corner, size = (random.random((boxes, 2)) * 70).round(2), (random.random((boxes, 2)) * 28 + 2).round(2)
    with open(out, "w") as file:
        records = (f'{{"id": {k + 1}, "file_name": "{k // 1000:03}/{k:06}.jpg", "width": 100, "height": 100}}' for k in range(images))
        file.write('{"images": [' + ",\n".join(records) + '], "categories": [')
        file.write(", ".join(f'{{"id": {k}, "name": "class {k}"}}' for k in range(1, 21)) + '], "annotations": [')
        for k in range(boxes):
            (x, y), (w, h) = corner[k].tolist(), size[k].tolist()
            polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
            object_ = {"id": k + 1, "image_id": int(image[k]), "category_id": int(category[k]), "bbox": [x, y, w, h], "area": w * h}
            file.write((",\n" if k else "") + json.dumps(object_ | {"iscrowd": 0, "segmentation": [polygon]}))
        file.write("]}")


def detections(prefix, images, objects, found, classes, seed):
    """Objects of very different sizes, 1 % of them crowds, and detections of which half are shifted objects, some of another class."""
    import numpy as np

    random = np.random.default_rng(seed)
    box = lambda: [*(random.random(2) * [448, 336]), *np.exp(random.normal(4, 0.9, 2)).clip(4, 400)]
    rounded = lambda values: [round(float(value), 2) for value in values]
    truth = []
    for k in range(objects):
        b = rounded(box())
        ids = {"id": k + 1, "image_id": int(random.integers(1, images + 1)), "category_id": int(random.integers(1, classes + 1))}
        truth.append(ids | {"bbox": b, "area": round(b[2] * b[3] * 0.8, 3), "iscrowd": int(random.random() < 0.01)})
    results = []
    for k in range(found):
        image, category = int(random.integers(1, images + 1)), int(random.integers(1, classes + 1))
        b, score = box(), random.beta(1.5, 4)
        if k % 2:
            of = truth[int(random.integers(objects))]
            image, score = of["image_id"], random.beta(4, 2)
            category = of["category_id"] if random.random() < 0.85 else category
            x, y, w, h = of["bbox"]
            shift = random.normal(0, random.choice([0.03, 0.1, 0.3]), 4)
            b = [x + shift[0] * w, y + shift[1] * h, max(2, w + shift[2] * w), max(2, h + shift[3] * h)]
        results.append({"image_id": image, "category_id": category, "bbox": rounded(b), "score": round(float(score), 5)})
    listed = [{"id": k, "file_name": f"{k:06}.jpg", "width": 640, "height": 480} for k in range(1, images + 1)]
    categories = [{"id": k, "name": f"class {k}"} for k in range(1, classes + 1)]
    Path(f"{prefix}-truth.json").write_text(json.dumps({"images": listed, "categories": categories, "annotations": truth}))
    Path(f"{prefix}-found.json").write_text(json.dumps(results))


def reference(metric, prefix):
    """In a process of its own: pycocotools' or tidecv's numbers as JSON."""
    truth, found = f"{prefix}-truth.json", f"{prefix}-found.json"
    if metric == "coco":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            ground_truth = COCO(truth)
            evaluation = COCOeval(ground_truth, ground_truth.loadRes(found), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        numbers = [float(value) for value in evaluation.stats]
    else:
        import evaluator_fixtures

        with contextlib.redirect_stdout(io.StringIO()):
            numbers = evaluator_fixtures.tide_numbers(json.loads(Path(truth).read_text()), json.loads(Path(found).read_text()))
    print(json.dumps(numbers, default=float))


COCO_NUMBERS = "ap ap50 ap75 ap_small ap_medium ap_large ar1 ar10 ar100 ar_small ar_medium ar_large".split()


def compared(quarry, metric, prefix):
    files = ("--ground-truth", f"{prefix}-truth.json", "--detections", f"{prefix}-found.json")
    printed, cpu = measured(quarry, "evaluate", metric, *files, "--json")
    ours = json.loads(printed)
    printed, reference_cpu = measured(sys.executable, __file__, "reference", metric, prefix)
    theirs = json.loads(printed)
    if metric == "coco":
        pairs = [(-1 if ours[name] is None else ours[name], value) for name, value in zip(COCO_NUMBERS, theirs, strict=True)]
        limit = 1e-9
    else:
        pairs = [(ours["ap"], theirs["ap"])]
        pairs += [(ours[part][kind], value) for part in ("main", "special", "counts") for kind, value in theirs[part].items()]
        limit = 1e-6
    most = max(abs(a - b) for a, b in pairs)
    print(f"  {len(pairs)} numbers, apart by at most {most:.1e}; processor time 1/{reference_cpu / cpu:.0f}", flush=True)
    if most > limit:
        sys.exit(f"{metric}: the numbers are not those of the reference: {pairs}")


def imported(quarry, folder, file):
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    measured(quarry, "new", project)
    printed, _ = measured(quarry, "import", "coco", file, "--images", folder / "images", "--project", project, "--json")
    report = json.loads(printed)
    print("  " + ", ".join(f"{key} {report[key]}" for key in ("images", "objects", "added") if key in report))
    shutil.rmtree(project)


def main():
    if sys.argv[1] == "reference":
        return reference(sys.argv[2], sys.argv[3])
    quarry, folder, checks = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]
    checks = checks or ["import", "boxes", "coco", "tide"]
    folder.mkdir(parents=True, exist_ok=True)
    if {"import", "boxes"} & set(checks) and not (folder / "images").is_dir():
        images(folder / "images", IMAGES)
    for name, boxes, count in (("import", 3 * IMAGES, IMAGES), ("boxes", BOXES, 1000), ("boxes", BOXES, IMAGES)):
        if name in checks:
            file = folder / f"{boxes}-{count}.json"
            if not file.is_file():
                annotations(file, boxes, count)
            print(f"{name}: {count} images, {boxes} boxes, {file.stat().st_size >> 20} MiB of annotations")
            imported(quarry, folder, file)
    sets = [("coco", "large", (5000, 36_000, 500_000, 1, 1)), ("coco", "many-classes", (1000, 8000, 60_000, 20, 2))]
    sets += [("tide", "many-classes", sets[1][2]), ("tide", "small", (500, 4000, 20_000, 3, 3)), ("tide-large", "large", sets[0][2])]
    for check, name, sizes in sets:
        if check in checks:
            if not (folder / f"{name}-found.json").is_file():
                detections(folder / name, *sizes)
            print(f"{check}: {sizes[0]} images, {sizes[1]} objects, {sizes[2]} detections, {sizes[3]} classes")
            compared(quarry, check.split("-")[0], str(folder / name))


if __name__ == "__main__":
    main()
