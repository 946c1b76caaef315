#!/usr/bin/env python3
"""Writes tests/fixtures/evaluators: small random COCO files and the reference programs' results on them.

    python3 -m venv venv && venv/bin/pip install numpy pycocotools tidecv
    venv/bin/python scripts/evaluator_fixtures.py [OUT]

COCO's numbers are pycocotools', TIDE's are tidecv's (fed with boxes; its own reader of COCO files needs masks). VOC's and the miss rate are
short ports of the development kit's VOCevaldet.m and of Dollar's toolbox (bbGt.m, dbEval.m); precision-recall is counted threshold by
threshold from pycocotools' own matches.
"""

import contextlib
import io
import json
import pathlib
import random
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tidecv import Data, TIDE


def boxes_iou(d, g, crowd=False):
    w = min(d[2] + d[0], g[2] + g[0]) - max(d[0], g[0])
    h = min(d[3] + d[1], g[3] + g[1]) - max(d[1], g[1])
    if w <= 0 or h <= 0:
        return 0.0
    i = w * h
    return i / (d[2] * d[3] if crowd else d[2] * d[3] + g[2] * g[3] - i)


def random_set(seed, images, classes, objects, detections, grid):
    """Boxes lie on a grid, so that equal boxes, equal scores and overlaps exactly at a threshold are frequent."""
    r = random.Random(seed)
    ids = r.sample(range(1, 10 * images), images)
    categories = [{"id": 3 * k + 2, "name": f"class {k}"} for k in range(classes)]
    # The last class has no objects, the one before it no detections.
    objects_of = categories[: max(1, classes - 1)]
    found_of = categories[: max(1, classes - 2)] + categories[classes - 1 :]
    sides = [12, 20, 24, 40, 48, 60, 96, 120, 200]

    def box():
        return [r.randrange(0, 40) * grid, r.randrange(0, 40) * grid, r.choice(sides), r.choice(sides)]

    annotations, found = [], []
    for n, image in enumerate(ids):
        truth = []
        if n != 1:  # an image without objects
            for _ in range(r.randrange(1, objects + 1)):
                b, crowd = box(), int(r.random() < 0.12)
                truth.append((b, r.choice(objects_of)["id"]))
                annotation = {
                    "id": len(annotations) + 1, "image_id": image, "category_id": truth[-1][1], "bbox": b,
                    "area": b[2] * b[3] * r.choice([1, 1, 0.6]), "iscrowd": crowd,
                }
                if r.random() < 0.1:
                    annotation["ignore"] = 1
                annotations.append(annotation)
        if n == 2:  # an image without detections
            continue
        for _ in range(r.randrange(detections // 2, detections + 1)):
            if truth and r.random() < 0.7:
                b, category = r.choice(truth)
                b = [v + r.choice([0, 0, 0, 0, grid, -grid]) for v in b[:2]] + [max(4, v + r.choice([0, 0, 0, 0, 8, -8, v])) for v in b[2:]]
                if r.random() < 0.25:
                    category = r.choice(found_of)["id"]
            else:
                b, category = box(), r.choice(found_of)["id"]
            score = r.choice([r.random(), r.randrange(1, 10) / 10])
            found.append({"image_id": image, "category_id": category, "bbox": b, "score": round(score, 4)})
    r.shuffle(annotations)
    r.shuffle(found)
    images = [{"id": i, "file_name": f"{i:03}.jpg", "width": 700, "height": 700} for i in ids]
    return {"images": images, "annotations": annotations, "categories": categories}, found


def quiet(call):
    with contextlib.redirect_stdout(io.StringIO()):
        return call()


def coco_numbers(truth, found):
    def run(categories=None):
        gt = COCO()
        gt.dataset = json.loads(json.dumps(truth))
        gt.createIndex()
        e = COCOeval(gt, gt.loadRes(json.loads(json.dumps(found))), "bbox")
        if categories is not None:
            e.params.catIds = categories
        e.evaluate()
        e.accumulate()
        e.summarize()
        return [None if v == -1 else float(v) for v in e.stats]

    classes = {str(c["id"]): quiet(lambda c=c: run([c["id"]])) for c in truth["categories"]}
    return {"overall": quiet(run), "classes": classes}


def tide_numbers(truth, found):
    gt, dt = Data("gt", max_dets=100), Data("dt")
    for image in truth["images"]:
        gt.add_image(image["id"], image["file_name"])
    for c in truth["categories"]:
        gt.add_class(c["id"], c["name"])
    for a in truth["annotations"]:
        (gt.add_ignore_region if a["iscrowd"] else gt.add_ground_truth)(a["image_id"], a["category_id"], a["bbox"])
    for d in found:
        dt.add_detection(d["image_id"], d["category_id"], d["score"], d["bbox"])
    tide = TIDE()
    run = tide.evaluate(gt, dt, mode=TIDE.BOX)
    errors = tide.get_all_errors()
    counts = {error.short_name: count for error, count in run.count_errors().items()}
    name = next(iter(errors["main"]))
    return {"ap": run.ap, "main": errors["main"][name], "special": errors["special"][name], "counts": counts}


def of_class(truth, found, category):
    gts, dts = {i["id"]: [] for i in truth["images"]}, {i["id"]: [] for i in truth["images"]}
    for a in truth["annotations"]:
        if a["category_id"] == category:
            gts[a["image_id"]].append(a)
    for d in found:
        if d["category_id"] == category:
            dts[d["image_id"]].append(d)
    for image in dts:
        dts[image].sort(key=lambda d: -d["score"])
    return gts, dts


def ignored(a):
    return bool(a["iscrowd"] or a.get("ignore"))


def voc_numbers(truth, found, category, threshold=0.5):
    gts, dts = of_class(truth, found, category)
    positives = sum(not ignored(a) for image in gts.values() for a in image)
    if positives == 0:
        return None
    # Sorted by score over all images; within an image the order is the same.
    each = sorted(((d["score"], image, d) for image in dts for d in dts[image]), key=lambda e: -e[0])
    taken, tp, fp = set(), [], []
    for _, image, d in each:
        best, at = -np.inf, None
        for a in gts[image]:
            overlap = boxes_iou(d["bbox"], a["bbox"])
            if overlap > best:
                best, at = overlap, a
        hit = best >= threshold
        if hit and ignored(at):
            tp.append(0), fp.append(0)
        elif hit and at["id"] not in taken:
            taken.add(at["id"])
            tp.append(1), fp.append(0)
        else:
            tp.append(0), fp.append(1)
    tp, fp = np.cumsum(tp), np.cumsum(fp)
    rec = tp / positives
    prec = tp / np.maximum(tp + fp, np.finfo(float).eps)
    eleven = 0.0
    for t in np.arange(0.0, 1.1, 0.1):
        eleven += (np.max(prec[rec >= t]) if np.any(rec >= t) else 0.0) / 11
    mrec = np.concatenate([[0.0], rec, [1.0]])
    mpre = np.concatenate([[0.0], prec, [0.0]])
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    at = np.where(mrec[1:] != mrec[:-1])[0]
    return [float(eleven), float(np.sum((mrec[at + 1] - mrec[at]) * mpre[at + 1]))]


def miss_rate(truth, found, category, threshold=0.5):
    gts, dts = of_class(truth, found, category)
    positives = sum(not ignored(a) for image in gts.values() for a in image)
    if positives == 0:
        return None
    each = []
    for image, truths in gts.items():
        truths = sorted(truths, key=ignored)
        taken = set()
        for d in dts[image]:
            best, at = min(threshold, 1 - 1e-10), None
            for a in truths:
                if a["id"] in taken and not ignored(a):
                    continue
                if at is not None and not ignored(at) and ignored(a):
                    break
                overlap = boxes_iou(d["bbox"], a["bbox"], crowd=ignored(a))
                if overlap >= best:
                    best, at = overlap, a
            if at is not None:
                taken.add(at["id"])
            if at is None or not ignored(at):
                each.append((d["score"], int(at is not None)))
    each.sort(key=lambda e: -e[0])
    hits = np.array([e[1] for e in each], dtype=int)
    fppi = np.cumsum(1 - hits) / len(truth["images"])
    missed = 1.0 - np.cumsum(hits) / positives
    fppi, missed = np.insert(fppi, 0, -1.0), np.insert(missed, 0, 1.0)
    at = [missed[np.where(fppi <= ref)[0][-1]] for ref in np.logspace(-2.0, 0.0, num=9)]
    return float(np.exp(np.mean(np.log(np.maximum(1e-10, at)))))


def best_f1(truth, found, category):
    """From pycocotools' matches at IoU .50, which know crowds but not `ignore`; sets with `ignore` are left out."""
    gt = COCO()
    gt.dataset = json.loads(json.dumps(truth))
    gt.createIndex()
    e = COCOeval(gt, gt.loadRes(json.loads(json.dumps(found))), "bbox")
    e.params.catIds, e.params.iouThrs, e.params.maxDets = [category], np.array([0.5]), [100_000]
    e.params.areaRng, e.params.areaRngLbl = [[0, 1e10]], ["all"]
    e.evaluate()
    each = [x for x in e.evalImgs if x is not None]
    positives = sum(int(np.sum(x["gtIgnore"] == 0)) for x in each)
    if positives == 0:
        return None
    judged = []
    for x in each:
        for k, score in enumerate(x["dtScores"]):
            if not x["dtIgnore"][0][k]:
                judged.append((score, bool(x["dtMatches"][0][k])))
    best = None
    for t in sorted({score for score, _ in judged}, reverse=True):
        kept = [hit for score, hit in judged if score >= t]
        f1 = 2 * sum(kept) / (len(kept) + positives)
        if f1 > 0 and (best is None or f1 > best[0]):
            best = [f1, t, sum(kept) / len(kept), sum(kept) / positives]
    return best


SETS = {
    "several_classes": dict(seed=1, images=9, classes=5, objects=7, detections=14, grid=4),
    "one_class": dict(seed=2, images=6, classes=1, objects=6, detections=9, grid=10),
    "many_detections": dict(seed=3, images=4, classes=4, objects=30, detections=250, grid=6),
}


def expected(truth, found):
    ids = [c["id"] for c in truth["categories"]]
    without_ignore = {**truth, "annotations": [{k: v for k, v in a.items() if k != "ignore"} for a in truth["annotations"]]}
    return {
        "coco": coco_numbers(truth, found),
        "tide": quiet(lambda: tide_numbers(truth, found)),
        "voc": {str(c): voc_numbers(truth, found, c) for c in ids},
        "miss_rate": {str(c): miss_rate(truth, found, c) for c in ids},
        "best_f1_without_ignore": {str(c): quiet(lambda c=c: best_f1(without_ignore, found, c)) for c in ids},
    }


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests/fixtures/evaluators")
    for name, how in SETS.items():
        truth, found = random_set(**how)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, value in [("ground_truth", truth), ("detections", found), ("expected", expected(truth, found))]:
            (folder / f"{file}.json").write_text(json.dumps(value, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
