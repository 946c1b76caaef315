"""Compares Quarry's boxes and scores of a third-party ONNX detector with the detector's own Python package.

The detector is nudenet's 320n.onnx (YOLOv8). The images are saved as PNG first, so that JPEG decoders make no difference.

    python3 -m venv v && v/bin/pip install nudenet
    v/bin/python scripts/compare_nudenet.py --quarry target/release/quarry --images IMAGES [--count 100]
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import cv2
import nudenet.nudenet as reference

# As nudenet prepares images and filters boxes: it pads at the right and at the bottom, and swaps red and blue once too often.
MODEL_TOML = """
classes = {classes}

[input]
size = [320, 320]
resize = "pad"
anchor = "top-left"
colour = "bgr"
pad = 0

[output]
score_threshold = 0.05
nms_iou = 0.45
"""
# nudenet's own minimum score.
LEAST_SCORE = 0.25
# Larger deviations count as differences.
PIXELS, SCORE = 0.5, 0.01


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def images_of(folder, count):
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    return found[:: max(1, len(found) // count)][:count]


def quarrys(quarry, model, images, out):
    command = [quarry, "detect", "--checkpoint", model, "--images", images, "--out", out, "--format", "coco", "--device", "cpu"]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    found = {}
    for record in json.loads(out.read_text()):
        found.setdefault(record["file_name"], []).append((record["category_name"], record["score"], record["bbox"]))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quarry", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    # nudenet rounds its boxes down to whole pixels; they are compared unchanged.
    reference.int = float
    labels = reference.__dict__["__labels"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "images").mkdir()
        model = folder / "320n.onnx"
        shutil.copy(pathlib.Path(reference.__file__).parent / "320n.onnx", model)
        model.with_suffix(".toml").write_text(MODEL_TOML.format(classes=json.dumps(labels)))
        for number, path in enumerate(images_of(options.images, options.count)):
            cv2.imwrite(str(folder / "images" / f"{number:05}.png"), cv2.imread(str(path)))
        found = quarrys(options.quarry, model, folder / "images", folder / "found.json")
        detector = reference.NudeDetector(str(model))
        pixels, scores, missing, images, sure = [], [], 0, 0, 0
        for path in sorted((folder / "images").iterdir()):
            images += 1
            theirs = detector.detect(str(path))
            ours = found.get(path.stem, [])
            sure += sum(1 for _, score, _ in ours if score >= LEAST_SCORE)
            for detection in theirs:
                same_class = [(overlap(detection["box"], box), score, box) for kind, score, box in ours if kind == detection["class"]]
                best = max(same_class, default=(0.0, 0.0, None))
                if best[0] < 0.5:
                    missing += 1
                    continue
                pixels.append(max(abs(a - b) for a, b in zip(corners(detection["box"]), corners(best[2]))))
                scores.append(abs(detection["score"] - best[1]))
    within = sum(1 for pixel, score in zip(pixels, scores) if pixel <= PIXELS and score <= SCORE)
    total = len(pixels) + missing
    print(f"{images} images, {total} boxes of nudenet's own Python (score {LEAST_SCORE} or more), {sure} of Quarry's")
    print(f"without a box of Quarry's: {missing}")
    for what, values in (("pixels", pixels), ("score", scores)):
        values = sorted(values)
        shares = ", ".join(f"{share:.0%} {values[min(len(values) - 1, int(share * len(values)))]:.4f}" for share in (0.5, 0.9, 0.99))
        print(f"largest difference of a box in {what}: {shares}, most {values[-1]:.4f}")
    print(f"within {PIXELS} pixels and {SCORE} of score: {within} of {total}")
    return 0 if total and within == total else 1


def corners(box):
    return box[0], box[1], box[0] + box[2], box[1] + box[3]


if __name__ == "__main__":
    sys.exit(main())
