#!/usr/bin/env python3
"""Writes tests/fixtures/models: small ONNX networks of known outputs, and the outputs of ONNX Runtime in Python for a ramp.

Needs onnx, onnxruntime and numpy. The network scores each cell of a grid by its colour: an object is a coloured square.
    scripts/model_fixtures.py [tests/fixtures/models]
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SIDE, CELL = 64, 8
GRID = SIDE // CELL


def network() -> onnx.ModelProto:
    """YOLOv8's layout, two classes: class 0 is as likely as a cell is red, class 1 as it is green. Boxes are the cells."""
    centres = (np.arange(GRID) + 0.5) * CELL
    cx, cy = np.meshgrid(centres, centres)
    size = np.full_like(cx, CELL)
    boxes = np.stack([cx, cy, size, size]).reshape(1, 4, GRID * GRID).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Slice", ["cells", "from", "to", "axis"], ["two"]),
        helper.make_node("Shape", ["images"], ["whole"]),
        helper.make_node("Slice", ["whole", "zero", "one", "zero"], ["rows"]),
        helper.make_node("Concat", ["rows", "rest"], ["scores_shape"], axis=0),
        helper.make_node("Reshape", ["two", "scores_shape"], ["scores"]),
        helper.make_node("Concat", ["rows", "boxes_rest"], ["boxes_shape"], axis=0),
        helper.make_node("Expand", ["boxes", "boxes_shape"], ["placed"]),
        helper.make_node("Concat", ["placed", "scores"], ["output0"], axis=1),
    ]
    integers = {
        "from": [0], "to": [2], "axis": [1], "zero": [0], "one": [1],
        "rest": [2, GRID * GRID], "boxes_rest": [4, GRID * GRID],
    }
    constants = [numpy_helper.from_array(np.array(v, dtype=np.int64), k) for k, v in integers.items()]
    constants.append(numpy_helper.from_array(boxes, "boxes"))
    graph = helper.make_graph(
        nodes, "cells",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 6, GRID * GRID])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": "{0: 'red', 1: 'green'}", "stride": str(CELL)})
    onnx.checker.check_model(model)
    return model


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures/models")
    out.mkdir(parents=True, exist_ok=True)
    model = network()
    onnx.save(model, out / "cells.onnx")
    too_new = network()
    too_new.opset_import[0].version = 999
    onnx.save(too_new, out / "too_new.onnx")
    shapes = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["images"], ["features"])], "features",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 3, 1, 1])],
    )
    onnx.save(helper.make_model(shapes, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), out / "no_detector.onnx")
    # ONNX Runtime's outputs for a ramp, the reference for Quarry's run.
    ramp = (np.arange(2 * 3 * SIDE * SIDE, dtype=np.float32) % 251 / 251).reshape(2, 3, SIDE, SIDE)
    session = onnxruntime.InferenceSession(out / "cells.onnx")
    output = session.run(None, {"images": ramp})[0]
    (out / "cells_ramp.json").write_text(json.dumps({"shape": output.shape, "values": [round(float(v), 7) for v in output.ravel()]}) + "\n")


if __name__ == "__main__":
    main()
