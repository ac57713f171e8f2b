"""Makes tests/golden/training/: the weights of tests/golden/checkpoint as training tools save them.

Run from the repository's root with the versions of requirements.txt:  python tests/golden/training.py
"""

import shutil
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import versions

OUT = Path(__file__).parent / "training"
CHECKPOINT = Path(__file__).parent / "checkpoint" / "safetensors"


def main():
    versions.check()
    shutil.rmtree(OUT, ignore_errors=True)
    weights = load_file(CHECKPOINT / "model.safetensors")
    torch.manual_seed(7)

    def bin_file(name, content, file="pytorch_model.bin", **options):
        path = OUT / name
        path.mkdir(parents=True)
        torch.save(content, path / file, **options)

    def prefixed(prefix):
        return OrderedDict((prefix + name, tensor) for name, tensor in weights.items())

    # Read, with the same tensors as the checkpoint's.
    doubles = {name: tensor.double() for name, tensor in weights.items()}
    bin_file("f64_bin", doubles)
    (OUT / "f64").mkdir()
    save_file(doubles, OUT / "f64" / "model.safetensors")
    parameters = {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()}
    list(parameters.values())[3].note = {"attributes": ["make", "_rebuild_parameter_with_state"]}
    bin_file("parameters", parameters)
    torch.serialization.set_crc32_options(False)
    bin_file("no_crc", weights)
    torch.serialization.set_crc32_options(True)
    bin_file("compiled", prefixed("_orig_mod.module."))
    bin_file("protocol4", weights, pickle_protocol=4)
    # A safetensors file and a torch file under each other's names.
    (OUT / "safetensors_as_bin").mkdir()
    save_file(weights, OUT / "safetensors_as_bin" / "pytorch_model.bin")
    bin_file("bin_as_safetensors", weights, file="model.safetensors")
    # What lightning 2.6.6 writes, hyper-parameters and an optimizer with it.
    first = weights["transformer.ln_f.weight"]
    lightning = {
        "epoch": 3, "global_step": 1 << 40, "pytorch-lightning_version": "2.6.6",
        "state_dict": prefixed("model."),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}, "is_last": True}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "kth_value": float("inf"),
                                          "dirpath": Path("runs"), "tags": {"a", "b"}, "raw": b"bytes"}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0), "exp_avg": first.clone()}},
                              "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0]}]}],
        "lr_schedulers": [], "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 1e-3, "seed": 1 << 90, "dtype": torch.float32, "size": torch.Size([2, 2])},
    }
    bin_file("lightning", lightning)
    # Views whose values PyTorch negates when they are read: what is stored has the other sign.
    complex_pairs = {name: torch.stack([torch.zeros_like(tensor), -tensor], -1) for name, tensor in weights.items()}
    bin_file("negative_bit", {name: torch.view_as_complex(pair).conj().imag for name, pair in complex_pairs.items()})
    bin_file("nested", {"step": 7, "checkpoint": {"model": prefixed("module."), "optimizer": {"state": {}}}})

    # Refused, each with what to do.
    few = {"transformer.wte.weight": weights["transformer.wte.weight"]}
    bin_file("legacy", few, _use_new_zipfile_serialization=False)
    bin_file("float8", {"transformer.wte.weight": few["transformer.wte.weight"].to(torch.float8_e4m3fn)})
    bin_file("conjugate_bit", {"transformer.wte.weight": torch.complex(few["transformer.wte.weight"],
                                                                       few["transformer.wte.weight"]).conj()})
    wrapped = {**weights, "_orig_mod.transformer.ln_f.weight": first.clone()}
    bin_file("wrapped_twice", {name: wrapped[name] for name in wrapped if "ln_f" in name or "wte" in name})
    bin_file("two_models", {"model": few, "ema": dict(few)})
    bin_file("two_prefixes", {"student.wte.weight": first, "teacher.wte.weight": first})
    bin_file("whole_model", torch.nn.Linear(2, 2))
    bin_file("extra_state", {**few, "epoch": 3})
    (OUT / "script").mkdir()
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(OUT / "script" / "pytorch_model.bin")
    (OUT / "lfs").mkdir()
    (OUT / "lfs" / "model.safetensors").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 305742784\n")


main()
