#!/usr/bin/env python3
"""Compares Quarry with its alternatives on the same weights and image: one table of seconds and ratios.

    bench_peers.py PEER [--sides 320 600] [--steps 5] [--rounds 3] [--batches 1 2]

Detection: torchvision in f32 and under bf16 autocast, and the same model exported for ONNX Runtime and OpenVINO (f32 and bf16). Training:
torchvision in f32 and under bf16 autocast. Two threads each, every contestant in a process of its own, taking turns; medians over the
rounds. PEER is the program that `cargo bench --bench torchvision_peer --no-run` builds (`make bench-peers` does all of this). A peer that
is not installed, or cannot run the model, has "-" in its column, and the reason goes to stderr.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

from compare_torchvision import THREADS, WARM_UP, build, load_image, load_model, peer, randomise, training_step, write_image

EPS = 1e-5
CONTESTANTS = ["quarry f32", "quarry bf16", "torchvision f32", "torchvision bf16", "onnxruntime f32", "openvino f32", "openvino bf16"]


def median_seconds(step, steps):
    seconds = []
    for _ in range(steps + WARM_UP):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARM_UP:])


def files(folder, side):
    return tuple(os.path.join(folder, name) for name in (f"weights-{side}.pth", "image.png", f"model-{side}.onnx"))


def prepare(folder, side):
    """Weights for all, and the exported model."""
    import torch

    weights, image_file, onnx_file = files(folder, side)
    image = load_image(image_file)
    model = build(side, 91, EPS)
    randomise(model, image)
    torch.save(model.state_dict(), weights)
    try:
        model.eval()
        # Tracing turns the image's size into a constant; it is the same here.
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            torch.onnx.export(model, ([image],), onnx_file, opset_version=17, dynamo=False, input_names=["image"])
    except Exception as error:
        print(f"no exported model: {error}", file=sys.stderr)


def torchvision_seconds(folder, side, bf16, steps, batches):
    import torch

    weights, image_file, _ = files(folder, side)
    model, image = load_model(weights, image_file, side, EPS)
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=bf16)
    model.eval()

    def detect():
        with torch.inference_mode(), autocast():
            model([image])

    out = {"detect": median_seconds(detect, steps)}
    for batch in batches:
        out[f"train {batch}"] = median_seconds(training_step(model, image, batch, autocast), steps)
    return out


def onnxruntime_seconds(folder, side, steps):
    import onnxruntime

    _, image_file, onnx_file = files(folder, side)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: load_image(image_file).numpy()}
    return {"detect": median_seconds(lambda: session.run(None, feed), steps)}


def openvino_seconds(folder, side, bf16, steps):
    import openvino

    _, image_file, onnx_file = files(folder, side)
    settings = {"INFERENCE_NUM_THREADS": THREADS, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
    core = openvino.Core()
    request = core.compile_model(core.read_model(onnx_file), "CPU", settings).create_infer_request()
    image = load_image(image_file).numpy()
    return {"detect": median_seconds(lambda: request.infer([image]), steps)}


def quarry_seconds(program, folder, side, precision, steps, batches):
    weights, image_file, _ = files(folder, side)
    out = {}
    for batch in batches:
        row = peer(program, "time", weights, image_file, side, EPS, steps, precision, batch)
        out["detect"] = min(out.get("detect", row["detect_s"]), row["detect_s"])
        out[f"train {batch}"] = row["train_s"]
    return out


def contest(args, name, folder, side):
    """Runs one contestant in this process."""
    maker, precision = name.split()
    bf16 = precision == "bf16"
    if maker == "quarry":
        return quarry_seconds(args.peer, folder, side, precision, args.steps, args.batches)
    if maker == "torchvision":
        return torchvision_seconds(folder, side, bf16, args.steps, args.batches)
    if maker == "onnxruntime":
        return onnxruntime_seconds(folder, side, args.steps)
    return openvino_seconds(folder, side, bf16, args.steps)


def turn(args, name, folder, side):
    """Runs `contest` in its own process; returns None if it fails."""
    words = [sys.executable, __file__, args.peer, "--turn", name, folder, str(side), "--steps", str(args.steps), "--batches", *map(str, args.batches)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{name}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def table(rows):
    print("| side | work | " + " | ".join(CONTESTANTS) + " |")
    print("|" + "---|" * (len(CONTESTANTS) + 2))
    for (side, work), found in rows.items():
        base = {"f32": found.get("quarry f32"), "bf16": found.get("quarry bf16")}
        cells = []
        for name in CONTESTANTS:
            seconds, own = found.get(name), base[name.split()[1]]
            ratio = f" ({own / seconds:.2f})" if seconds and own and not name.startswith("quarry") else ""
            cells.append(f"{seconds:.3f}{ratio}" if seconds else "-")
        print(f"| {side} | {work} | " + " | ".join(cells) + " |")
    print("\nSeconds; in brackets Quarry's time of the same precision over the peer's. Below 1 Quarry is faster.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("--sides", type=int, nargs="+", default=[320, 600])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turn", nargs=3, metavar=("NAME", "FOLDER", "SIDE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.turn:
        name, folder, side = args.turn
        print(json.dumps(contest(args, name, folder, int(side))))
        return
    rows = {}
    with tempfile.TemporaryDirectory(prefix="quarry-peers-") as folder:
        write_image(os.path.join(folder, "image.png"))
        for side in args.sides:
            prepare(folder, side)
            taken = {}
            for _ in range(args.rounds):
                for name in CONTESTANTS:
                    for work, seconds in (turn(args, name, folder, side) or {}).items():
                        taken.setdefault((side, work), {}).setdefault(name, []).append(seconds)
            rows |= {key: {name: statistics.median(all) for name, all in found.items()} for key, found in taken.items()}
    table(rows)


if __name__ == "__main__":
    main()
