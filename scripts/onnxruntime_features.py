#!/usr/bin/env python3
"""Writes tests/fixtures/open_nsfw_features.safetensors: onnxruntime's outputs for one generated image.

    python3 -m venv .venv-onnx && .venv-onnx/bin/pip install onnx onnxruntime numpy safetensors
    .venv-onnx/bin/python scripts/onnxruntime_features.py models/open-nsfw.onnx

The image is 224 x 224, red = (7 x + 3 y) mod 256, green = (x y) mod 256, blue = (5 x + 11 y + (x y) / 32) mod 256. It enters as
BGR minus (104, 117, 123), which is how the network was trained. Kept is the output of the last residual block.
"""
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

model = onnx.load(sys.argv[1])
pool = next(n for n in model.graph.node if n.op_type == "AveragePool")
model.graph.output.append(onnx.helper.make_empty_tensor_value_info(pool.input[0]))
y, x = np.mgrid[0:224, 0:224]
rgb = np.stack([(7 * x + 3 * y) % 256, (x * y) % 256, (5 * x + 11 * y + (x * y) // 32) % 256], -1).astype(np.float32)
bgr = rgb[..., ::-1] - np.array([104, 117, 123], np.float32)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
feature = session.run([pool.input[0]], {model.graph.input[0].name: bgr[None]})[0]
print(pool.input[0], feature.shape, "mean", feature.mean(), "max", feature.max())
save_file({"last_block": feature.astype(np.float32)}, "tests/fixtures/open_nsfw_features.safetensors",
          {"onnxruntime": onnxruntime.__version__})
