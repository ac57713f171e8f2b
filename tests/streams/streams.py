#!/usr/bin/env python3
"""What stabilised tokens save on streams as cameras make them: two photographs that scikit-learn ships, with sensor noise,
something that moves, light that drifts, a camera that turns; Motion JPEG of 640x427 at quality 80.

    pip install -r tests/streams/requirements.txt
    python tests/streams/streams.py target/release/igpt /tmp/streams
    python tests/streams/streams.py target/release/igpt /tmp/streams --model model.onnx --frames 120 --seed 1

Writes the streams into the folder, runs `igpt bench --stream` on each (ImageGPT-small with random weights unless a model is
given: no kernel's time depends on the values), and prints the table of docs/performance.md. An idle machine takes ten minutes."""

import argparse
import io
import json
import pathlib
import subprocess

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

# Of the cost of a frame without stabilised tokens, at most.
AIMS = {
    "fixed scene, noise 2": 1 / 20,
    "fixed scene, noise 4": 1 / 5,
    "moves in the lower half": 0.6,
    "light drifts 0.05 % a frame": 1 / 5,
    "the camera turns": 1.02,
}


def scene(kind, photos, which, frame, rng):
    """One frame's levels without noise, as f32, and the noise's standard deviation."""
    base = photos[which].astype(np.float32)
    height, width, _ = base.shape
    if kind == "moves in the lower half":
        # A piece of the other photograph walks to and fro, and bobs.
        piece = photos[1 - which][100 : 100 + height // 5, 200 : 200 + width // 8].astype(np.float32)
        room = width - piece.shape[1]
        at = (frame * 9) % (2 * room)
        left = at if at < room else 2 * room - at - 1
        top = height * 7 // 10 + int(4 * np.sin(frame / 3))
        base = base.copy()
        base[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
    elif kind == "light drifts 0.05 % a frame":
        base = base * (1 + 0.0005 * frame)
    elif kind == "the camera turns":
        base = np.roll(base, -8 * frame, axis=1)
    return base, 4.0 if kind == "fixed scene, noise 4" else 2.0


def write(path, kind, photos, which, frames, seed):
    rng = np.random.default_rng([seed, which, sorted(AIMS).index(kind)])
    with open(path, "wb") as out:
        for frame in range(frames):
            levels, sigma = scene(kind, photos, which, frame, rng)
            noisy = levels + rng.normal(0, sigma, levels.shape)
            picture = Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
            jpeg = io.BytesIO()
            picture.save(jpeg, "JPEG", quality=80)
            out.write(jpeg.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("igpt", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, help="a classifier made by igpt quantize")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--margin", default="0.04")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    photos = load_sample_images().images
    model = [str(args.model)] if args.model else ["--size", "small"]
    print("| stream | photograph | a frame by itself, ms | stabilised, ms | ratio | aim | tokens reused | unchanged frames | one of them |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for kind, aim in AIMS.items():
        for which in range(len(photos)):
            name = f"{kind.replace(' ', '-').replace(',', '').replace('%', 'percent')}-{which}.mjpeg"
            path = args.folder / name
            write(path, kind, photos, which, args.frames, args.seed)
            command = [args.igpt, "bench", *model, "--stream", path, "--threads", args.threads, "--stabilize", args.margin, "--json"]
            report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            for run in report["runs"]:
                one = run["unchanged_ratio"]
                print(
                    f"| {kind} | {which + 1} | {run['off']['mean'] * 1e3:.1f} | {run['stabilized']['mean'] * 1e3:.1f} "
                    f"| {run['ratio']:.3f} | {aim:.2f} | {run['reused']:.1%} | {run['unchanged_frames']} of {args.frames} "
                    f"| {'' if one is None else f'{one:.2%}'} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
