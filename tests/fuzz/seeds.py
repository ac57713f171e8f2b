"""Makes the first inputs of every fuzz target from the tests' golden files and from generated ones.

usage: python seeds.py OUT      (needs pillow, numpy, safetensors; `igpt` built: target/release/igpt)

OUT/TARGET/* is what `cargo fuzz run TARGET OUT/TARGET` starts from.
"""
import gzip, hashlib, io, json, os, pathlib, struct, subprocess, sys, tempfile, zipfile

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
OUT = pathlib.Path(sys.argv[1])


def put(target, data):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def picture(width, height, mode="RGB"):
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([128 + 90 * np.sin(x / 3), 128 + 90 * np.cos(y / 2), 128 + 80 * np.sin((x + y) / 5)], -1)
    return Image.fromarray(rgb.clip(0, 255).astype("u1")).convert(mode)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def configs():
    for path in GOLDEN.glob("**/config.json"):
        put("config_json", path.read_bytes())
    for path in [*GOLDEN.glob("**/preprocessor_config.json"), *ROOT.glob("models/**/preprocessor_config.json")]:
        put("preprocessor_json", path.read_bytes()[:4096] if path.stat().st_size < 4096 else b'{"size": 32}')
    for size in (32, [8, 4], {"height": 3, "width": 5}):
        body = {"clusters": [[-1, 0, 1], [0.5, 0.25, 0]], "size": size, "resample": 2, "do_normalize": True,
                "image_mean": [0.5, 0.4, 0.3], "image_std": 0.5, "feature_extractor_type": "ImageGPTFeatureExtractor"}
        put("preprocessor_json", json.dumps(body).encode())
    for kind in ("single_label_classification", "multi_label_classification", "regression"):
        put("config_json", json.dumps({"model_type": "imagegpt", "problem_type": kind, "n_embd": 8, "n_head": 2,
                                       "id2label": {"0": "a", "1": 7}, "architectures": ["ImageGPTForImageClassification"]}).encode())


def checkpoints():
    for path in GOLDEN.glob("checkpoint/**/*.safetensors"):
        put("safetensors", path.read_bytes())
    for path in GOLDEN.glob("checkpoint/**/*.bin"):
        data = path.read_bytes()
        put("torch_zip", data)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    if name.endswith("data.pkl"):
                        put("torch_pickle", archive.read(name))
        except zipfile.BadZipFile:
            pass


def data_sets():
    labels = bytes([0, 1, 2])
    pixels = bytes(range(3 * 4 * 5))
    images = struct.pack(">4B3I", 0, 0, 8, 3, 3, 4, 5) + pixels
    tail = struct.pack(">4BI", 0, 0, 8, 1, 3) + labels
    for body in (images, gzip.compress(images), gzip.compress(images[:30]) + gzip.compress(images[30:])):
        put("idx", bytes([len(tail)]) + body + tail)
    put("csv", b"file_name,label\na.png,cat\n\"a.png\",\"dog, small\"\n")
    put("csv", b"\xef\xbb\xbflabel;file_name\r\n1;a.png\r\n")
    put("csv", b"label,file_name,more\r\n1,a.png,x\r\n2,missing.png,\r\n")
    for kind in ("<i8", "<i4", "<i2", "<u2", "|u1", "<f4"):
        for shape in ((3,), (2, 3)):
            out = io.BytesIO()
            np.save(out, np.arange(np.prod(shape)).reshape(shape).astype(kind))
            put("npy", out.getvalue())


def pictures():
    for mode, kinds in {"RGB": "PNG GIF BMP PPM TIFF WEBP JPEG", "L": "PNG GIF BMP PPM TIFF JPEG", "P": "PNG GIF BMP TIFF",
                        "RGBA": "PNG TIFF WEBP", "LA": "PNG TIFF", "1": "PNG BMP PPM TIFF", "CMYK": "JPEG TIFF",
                        "I;16": "PNG PPM TIFF"}.items():
        image = picture(9, 7) if mode == "I;16" else picture(9, 7, mode)
        if mode == "I;16":
            image = Image.fromarray((np.asarray(image.convert("L")).astype("u2") * 257))
        for kind in kinds.split():
            put("pictures", saved(image, kind))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        put("pictures", saved(picture(9, 7), "TIFF", compression=compression))
    put("pictures", b"P3 2 1 1000 159 0 0 1000 5 7\n")
    put("pictures", b"P6 2 1 1000\n" + struct.pack(">6H", 159, 0, 0, 1000, 5, 7))
    for sampling in (0, 1, 2):
        for more in ({}, {"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 30}):
            jpeg = saved(picture(17, 13), "JPEG", subsampling=sampling, **more)
            put("jpeg", jpeg[2:])
    for mode in ("L", "CMYK"):
        put("jpeg", saved(picture(17, 13, mode), "JPEG")[2:])
    exif = Image.Exif()
    exif[0x112] = 6
    put("jpeg", saved(picture(9, 7), "JPEG", exif=exif)[2:])


def streams():
    frames = [saved(picture(16 + i, 8), "JPEG", quality=40) for i in range(3)]
    put("mjpeg", b"".join(frames[:2]))
    put("mjpeg", frames[0][200:] + frames[1] + b"\0" * 8)
    put("mjpeg", b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n" + frames[0] + b"\r\n--b\r\n\r\n" + frames[1])
    put("mjpeg", frames[0][:-2] + frames[1])
    for tag, size in {"C420jpeg": 6 * 4 * 3 // 2, "C422": 6 * 4 * 2, "C444": 6 * 4 * 3, "Cmono": 24, "C420": 36}.items():
        put("y4m", f"YUV4MPEG2 W6 H4 F25:1 Ip A1:1 {tag} XCOLORRANGE=FULL\n".encode() + (b"FRAME\n" + bytes(range(size))) * 2)
    put("y4m", b"YUV4MPEG2 W5 H3 F25:1 XYSCSS=422\nFRAME Ix\n" + bytes(60))
    put("y4m", b"YUV4MPEG2 W6 H4 F25:1 C420p10\nFRAME\n" + bytes(72))
    put("toml", (ROOT / "firmware/packaging/igpt-cam.toml").read_bytes())
    lines = [line.lstrip("# ") for line in (ROOT / "firmware/packaging/igpt-cam.toml").read_text().splitlines()]
    put("toml", "\n".join(line for line in lines if " = " in line and line[0].islower()).encode())


def hub():
    listing = json.dumps({"sha": "a" * 40, "siblings": [{"rfilename": "config.json"}, {"rfilename": "../x"}]}).encode()
    tag = b'ETag: "' + b"b" * 40 + b'"'
    for status, headers in ((200, [tag, b"Content-Range: bytes 0-0/77"]), (302, [b"Location: ../y?x=1", b"X-Linked-ETag: \"" + b"c" * 64 + b'"']),
                            (307, [b"Location: //host:81/z", b"X-Linked-Size: 5"]), (401, [b"X-Error-Code: GatedRepo", b"X-Error-Message: no"])):
        put("hub", struct.pack(">H", status - 100) + b"\n".join(headers) + b"\n\n" + listing)


def models():
    tensors = load_file(GOLDEN / "model/one-token/model.safetensors")
    config = json.loads((GOLDEN / "model/one-token/config.json").read_text())
    width = config["n_embd"]
    tensors = {k: v for k, v in tensors.items() if k != "lm_head.weight"}
    tensors["score.weight"] = np.linspace(-1, 1, 3 * width, dtype="f4").reshape(3, width)
    config.update(architectures=["ImageGPTForImageClassification"], id2label={"0": "a", "1": "b", "2": "c"})
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config))
        clusters = [[i / 2 - 1] * 3 for i in range(4)]
        (folder / "preprocessor_config.json").write_text(json.dumps({"clusters": clusters, "size": 2}))
        for options in ([], ["--dtype", "f32"], ["--weights", "int4"], ["--pack", "avx2"], ["--pack", "neon"]):
            out = folder / "m.onnx"
            if subprocess.run([ROOT / "target/release/igpt", "quantize", folder, "-o", out, *options], stdout=subprocess.DEVNULL).returncode == 0:
                put("onnx", out.read_bytes())


def sessions():
    generator = np.random.default_rng(1)
    for size in (8, 20, 40, 60):
        put("session", generator.integers(0, 256, size, dtype="u1").tobytes())


for make in (configs, checkpoints, data_sets, pictures, streams, hub, models, sessions):
    make()
for folder in sorted(OUT.iterdir()):
    files = list(folder.iterdir())
    print(folder.name, len(files), max(f.stat().st_size for f in files))
