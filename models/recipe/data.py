"""Fashion-MNIST as ImageGPT sees it: reads the IDX files, shrinks to 14x14, quantises to tokens.

Responsible for everything between the data set's files and arrays of token ids: the shrinking
(Pillow's antialiased bilinear, as Hugging Face's processor does it), the palette lookup (taken from
Hugging Face's processor itself, so that the two can not drift apart), the fixed hold-out split, and
the shifted copies that augmentation draws from. No model code lives here.
"""

import gzip
import json
import os
import struct

import numpy as np
from PIL import Image

DEFAULT_DATA = "/usr/share/datasets/fashion-mnist"  # where Debian's dataset-fashion-mnist puts it
SIDE = 14
TOKENS = SIDE * SIDE
LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
HOLDOUT = 3000  # the last so many training images choose between variants; the test set never does
MAX_SHIFT = 2


def read_idx(path):
    """One IDX file (gzip or plain) of unsigned bytes as an array of its own shape."""
    with (gzip.open(path) if path.endswith(".gz") else open(path, "rb")) as f:
        zero, kind, dims = struct.unpack(">HBB", f.read(4))
        if zero or kind != 8:
            raise ValueError(f"{path}: not an IDX file of unsigned bytes")
        shape = struct.unpack(">" + "I" * dims, f.read(4 * dims))
        data = np.frombuffer(f.read(), np.uint8)
    if data.size != np.prod(shape):
        raise ValueError(f"{path}: {data.size} values, header promises {shape}")
    return data.reshape(shape)


def load(folder, part):
    """(images [N,28,28] uint8, labels [N] int64) of `train` or `t10k`."""
    find = lambda stem: next(p for p in (os.path.join(folder, stem + e) for e in (".gz", ""))
                             if os.path.exists(p))
    return (read_idx(find(f"{part}-images-idx3-ubyte")),
            read_idx(find(f"{part}-labels-idx1-ubyte")).astype(np.int64))


def shrink(images):
    """[N,28,28] uint8 to [N,14,14] uint8, exactly as Pillow's bilinear resize does it."""
    out = np.empty((len(images), SIDE, SIDE), np.uint8)
    for i, image in enumerate(images):
        out[i] = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return out


def palette_table(checkpoint):
    """The 256-entry table grey level -> token id of a checkpoint's processor.

    Every cluster is a grey, so a pixel's nearest cluster depends on its level alone. The table is
    asked from Hugging Face's processor, one 14x14 sheet of levels at a time.
    """
    from transformers.models.imagegpt.image_processing_pil_imagegpt import ImageGPTImageProcessorPil
    processor = ImageGPTImageProcessorPil.from_pretrained(checkpoint)
    levels = np.zeros(2 * TOKENS, np.uint8)
    levels[:256] = np.arange(256)
    sheets = [np.repeat(s.reshape(SIDE, SIDE, 1), 3, 2) for s in (levels[:TOKENS], levels[TOKENS:])]
    ids = processor(sheets, return_tensors="np", input_data_format="channels_last")["input_ids"]
    return np.asarray(ids).reshape(-1)[:256].astype(np.uint8)


def tokens(folder, part, checkpoint):
    """(token ids [N,196] uint8, labels [N]) of one part, unaugmented."""
    images, labels = load(folder, part)
    return palette_table(checkpoint)[shrink(images)].reshape(len(images), TOKENS), labels


def shifted_greys(folder, cache):
    """Training images shrunk after each shift by -2..2 pixels: [5,5,N,14,14] uint8, kept in `cache`.

    Shifting before shrinking moves the picture by half a token per pixel, which a shift of the
    token grid could not do; keeping all 25 makes augmentation a lookup.
    """
    if not os.path.exists(cache):
        images, _ = load(folder, "train")
        m = MAX_SHIFT
        wide = np.pad(images, ((0, 0), (m, m), (m, m)))
        span = 2 * m + 1
        out = np.empty((span, span, len(images), SIDE, SIDE), np.uint8)
        for dy in range(span):
            for dx in range(span):
                out[dy, dx] = shrink(wide[:, dy:dy + 28, dx:dx + 28])
        with open(cache + ".part", "wb") as f:
            np.save(f, out)
        os.replace(cache + ".part", cache)
    return np.load(cache, mmap_mode="r")


class Batches:
    """An endless, seeded stream of training batches (ids [B,196] int64, labels [B])."""

    def __init__(self, greys, labels, table, batch, seed, shift, flip, contrast=0.0):
        self.greys, self.labels, self.table = greys, labels, table
        self.batch, self.shift, self.flip, self.contrast = batch, shift, flip, contrast
        self.rng = np.random.default_rng(seed)
        self.order, self.at, self.epochs = np.empty(0, np.int64), 0, 0

    def __next__(self):
        if self.at + self.batch > len(self.order):
            self.order, self.at = self.rng.permutation(len(self.labels)), 0
            self.epochs += 1
        pick = self.order[self.at:self.at + self.batch]
        self.at += self.batch
        n, r = len(pick), self.rng
        dy, dx = MAX_SHIFT + r.integers(-self.shift, self.shift + 1, (2, n))
        grey = self.greys[dy, dx, pick]
        if self.flip:
            turn = r.random(n) < self.flip
            grey[turn] = grey[turn, :, ::-1]
        if self.contrast:
            gain = r.uniform(1 - self.contrast, 1 + self.contrast, (n, 1, 1))
            grey = np.clip(np.rint(grey * gain), 0, 255).astype(np.uint8)
        return self.table[grey].reshape(n, TOKENS).astype(np.int64), self.labels[pick]


def write_json(path, value):
    """JSON written whole or not at all."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".part", "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")
    os.replace(path + ".part", path)
