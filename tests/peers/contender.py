"""One peer in a process of its own: loads a model, says so, then runs once for each line of standard input.

    python contender.py KIND MODEL THREADS

KIND is onnxruntime, torch-f32, torch-bf16, torch-f32-pixels, or with `-generate` onnxruntime or torch-f32, where a run is NEW tokens one at a time
after CONTEXT; onnxruntime-generate-past is the same of an exported model, whose keys and values go in and come out longer. The first line of the answer is JSON: load seconds, logits of a first run, MiB resident before loading.
"""

import json
import sys
import time

from models import TOKENS, past_names, pixel_values, token_ids

CONTEXT, NEW = 512, 64


def resident_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def session(model, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnxruntime(model, threads):
    import numpy as np

    run = session(model, threads)
    wanted = run.get_inputs()[0]
    feed = {wanted.name: pixel_values(wanted.shape) if wanted.type == "tensor(float)" else np.array([token_ids(TOKENS)])}
    return lambda: run.run(None, feed)[0].ravel()


def onnxruntime_generate(model, threads):
    import numpy as np
    import onnxruntime as ort

    run = session(model, threads)
    keys = [value.shape for value in run.get_inputs() if value.name.startswith("past_key.")]
    layers, (_, heads, _, dim) = len(keys), keys[0]
    # Keys and values stay where they are: past and present are the same memory.
    past = {f"{part}.{l}": ort.OrtValue.ortvalue_from_numpy(np.zeros((1, heads, TOKENS, dim), np.float32))
            for part in ("key", "value") for l in range(layers)}

    def feed(ids, position):
        binding, total = run.io_binding(), position + len(ids)
        for name, value in dict(
                input_ids=np.array([ids]), positions=np.arange(position, total),
                seqlens_k=np.array([total - 1], np.int32), total_sequence_length=np.array([total], np.int32)).items():
            binding.bind_cpu_input(name, value)
        for name, value in past.items():
            binding.bind_ortvalue_input(f"past_{name}", value)
            binding.bind_ortvalue_output(f"present_{name}", value)
        binding.bind_output("logits")
        run.run_with_iobinding(binding)
        return binding.get_outputs()[-1].numpy()[0, -1]

    return generate(feed)


def onnxruntime_generate_past(model, threads):
    import numpy as np
    import onnxruntime as ort

    run = session(model, threads)
    shape = {value.name: value.shape for value in run.get_inputs()}
    names = past_names((len(shape) - 1) // 2)
    _, heads, _, dim = shape["past_key.0"]
    empty = ort.OrtValue.ortvalue_from_numpy(np.zeros((1, heads, 0, dim), np.float32))
    # What was there after CONTEXT, for every run to start from, and what is there now.
    kept, past = None, None

    def feed(ids, position):
        nonlocal kept, past
        if position == CONTEXT:
            past = kept
        binding = run.io_binding()
        binding.bind_cpu_input("input_ids", np.array([ids]))
        for name in names:
            binding.bind_ortvalue_input(f"past_{name}", past[name] if position else empty)
        for name in ("logits", *(f"present_{name}" for name in names)):
            binding.bind_output(name)
        run.run_with_iobinding(binding)
        logits, *present = binding.get_outputs()
        past = dict(zip(names, present))
        if not position:
            kept = past
        return logits.numpy()[0]

    return generate(feed)


def torch_model(kind, model, threads, dtype):
    import torch
    import transformers

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return torch, getattr(transformers, kind).from_pretrained(model).eval().to(getattr(torch, dtype))


def torch_forward(model, threads, dtype):
    torch, model = torch_model("ImageGPTForImageClassification", model, threads, dtype)
    ids = torch.tensor([token_ids(TOKENS)])
    return lambda: model(input_ids=ids, use_cache=False).logits.float().numpy().ravel()


def torch_pixels(model, threads):
    torch, model = torch_model("SegformerForImageClassification", model, threads, "float32")
    pixels = torch.from_numpy(pixel_values((1, 3, 224, 224)))
    return lambda: model(pixel_values=pixels).logits.numpy().ravel()


def torch_generate(model, threads):
    import transformers

    torch, model = torch_model("ImageGPTForCausalImageModeling", model, threads, "float32")
    cache = transformers.DynamicCache()

    def feed(ids, position):
        if position < cache.get_seq_length():
            cache.crop(position - cache.get_seq_length())
        out = model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True)
        return out.logits[0, -1].numpy()

    return generate(feed)


def generate(feed):
    """A run that continues the same context greedily."""
    ids = token_ids(CONTEXT)
    first = feed(ids, 0).argmax()

    def run():
        token = int(first)
        for position in range(CONTEXT, CONTEXT + NEW):
            logits = feed([token], position)
            token = int(logits.argmax())
        return logits
    return run


KINDS = {
    "onnxruntime": onnxruntime,
    "onnxruntime-generate": onnxruntime_generate,
    "onnxruntime-generate-past": onnxruntime_generate_past,
    "torch-f32": lambda model, threads: torch_forward(model, threads, "float32"),
    "torch-f32-pixels": torch_pixels,
    "torch-bf16": lambda model, threads: torch_forward(model, threads, "bfloat16"),
    "torch-f32-generate": torch_generate,
}


def main():
    kind, model, threads = sys.argv[1:]
    # The library itself is not the model's memory.
    __import__(kind.split("-")[0])
    if kind.startswith("torch"):
        __import__("transformers")
    before, start = resident_mib(), time.perf_counter()
    run = KINDS[kind](model, int(threads))
    load = time.perf_counter() - start
    logits = [float(value) for value in run()]
    print(json.dumps(dict(load=load, logits=logits, before=before)), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
