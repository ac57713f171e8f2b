"""The model that is counted: one block of ImageGPT-small (width 512, 8 heads, 1024 tokens), seeded random weights, normal ones in
its linear layers."""

import array
import json
import random
import statistics
import struct
import sys

WIDTH, HEADS, TOKENS, VOCABULARY = 512, 8, 1024, 513
INNER = 4 * WIDTH

LINEAR_MACS = TOKENS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
# Causal: a token meets itself and those before it, in Q.K and again in P.V.
ATTENTION_MACS = 2 * WIDTH * (TOKENS * (TOKENS + 1) // 2)
MACS = LINEAR_MACS + ATTENTION_MACS


def tensors():
    """Name, shape, mean and spread of every weight: half the range of uniform ones, the standard deviation of the linear layers'
    normal ones. Scores then spread over about two units, as a trained model's do."""
    yield "wte.weight", (VOCABULARY, WIDTH), 0.0, 1.0
    yield "wpe.weight", (TOKENS, WIDTH), 0.0, 0.3
    yield "h.0.ln_1.weight", (WIDTH,), 1.0, 0.5
    yield "h.0.ln_2.weight", (WIDTH,), 1.0, 0.5
    yield "ln_f.weight", (WIDTH,), 1.0, 0.5
    layers = {"attn.c_attn": (WIDTH, 3 * WIDTH), "attn.c_proj": (WIDTH, WIDTH), "mlp.c_fc": (WIDTH, INNER),
              "mlp.c_proj": (INNER, WIDTH)}
    for name, (k, n) in layers.items():
        yield f"h.0.{name}.weight", (k, n), 0.0, (1.0 / k) ** 0.5
        yield f"h.0.{name}.bias", (n,), 0.0, 0.1


def is_linear(name):
    """Is this the weight of a linear layer?"""
    return name.endswith(("attn.weight", "proj.weight", "fc.weight"))


def normal(generator, count, deviation):
    """Normally distributed numbers, as models are initialised with and as the peers' model here has."""
    steps = 1 << 16
    distribution = statistics.NormalDist(0.0, deviation)
    values = array.array("f", [distribution.inv_cdf((step + 0.5) / steps) for step in range(steps)])
    numbers = array.array("H", generator.randbytes(2 * count))
    if sys.byteorder == "big":
        numbers.byteswap()
    return array.array("f", [values[number] for number in numbers])


def write(folder):
    """A checkpoint in Hugging Face's layout, the same bytes every time."""
    generator = random.Random(0)
    header, body = {}, []
    offset = 0
    for name, shape, mean, spread in tensors():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        if is_linear(name):
            data = normal(generator, count, spread).tobytes()
        else:
            values = [mean + (byte - 127.5) / 127.5 * spread for byte in range(256)]
            data = array.array("f", [values[byte] for byte in generator.randbytes(count)]).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        body.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(body))
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["ImageGPTModel"], "model_type": "imagegpt", "activation_function": "quick_gelu",
        "n_embd": WIDTH, "n_head": HEADS, "n_inner": INNER, "n_layer": 1, "n_positions": TOKENS,
        "vocab_size": VOCABULARY, "layer_norm_epsilon": 1e-5, "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False, "reorder_and_upcast_attn": False, "tie_word_embeddings": False,
    }))
    clusters = [[generator.uniform(-1.0, 1.0) for _ in range(3)] for _ in range(VOCABULARY - 1)]
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "clusters": clusters, "do_normalize": True, "do_resize": True, "resample": 2, "size": 32,
        "feature_extractor_type": "ImageGPTFeatureExtractor"}))


def write_tokens(path):
    """A .npy of TOKENS token numbers."""
    generator = random.Random(1)
    tokens = array.array("q", [generator.randrange(VOCABULARY - 1) for _ in range(TOKENS)])
    text = str({"descr": "<i8", "fortran_order": False, "shape": (TOKENS,)}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + tokens.tobytes())
