"""Writes tests/fixtures/models/opencv_linear.txt: small images resized by OpenCV's INTER_LINEAR, for src/models/resize.rs.

    python3 -m venv v && v/bin/pip install opencv-python-headless
    v/bin/python scripts/resize_fixture.py > tests/fixtures/models/opencv_linear.txt
"""

import cv2
import numpy

# Larger, smaller, half (the mean of four pixels), half in one direction only, one side kept, single pixels.
SIDES = [
    (5, 4, 9, 7), (9, 7, 5, 4), (8, 6, 4, 3), (8, 6, 4, 5), (7, 5, 7, 3), (7, 5, 3, 5), (1, 1, 3, 2), (1, 6, 4, 4), (6, 1, 4, 4),
    (31, 23, 11, 8), (40, 30, 13, 10), (3, 2, 16, 12), (64, 48, 10, 7), (17, 19, 16, 18), (12, 10, 1, 1), (2, 2, 1, 1),
]


def source(width, height):
    y, x, c = numpy.mgrid[0:height, 0:width, 0:3].astype(numpy.uint32)
    return (((x * 73 + y * 151 + c * 199) * numpy.uint32(2654435)) >> 11).astype(numpy.uint8)


print(f"# made by scripts/resize_fixture.py with OpenCV {cv2.__version__}: width height target-width target-height, then RGB bytes")
for width, height, target_width, target_height in SIDES:
    resized = cv2.resize(source(width, height), (target_width, target_height), interpolation=cv2.INTER_LINEAR)
    print(width, height, target_width, target_height)
    print(resized.tobytes().hex())
