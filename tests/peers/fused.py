"""onnxruntime's best case, written by hand: ImageGPT in its fused operators, as its own transformer optimiser would if it knew the model.

SkipSimplifiedLayerNormalization (residual and norm), QuickGelu, and for attention GroupQueryAttention (packed q, k, v; always
causal; keys and values may stay in place) or MultiHeadAttention (unidirectional). Its graph optimiser then fuses the quantised
MatMuls with their bias. rten runs the second form too.
"""

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


def model(checkpoint, attention, past=False):
    config = json.loads((checkpoint / "config.json").read_text())
    weights = {name.removeprefix("transformer."): value
               for name, value in load_file(checkpoint / "model.safetensors").items()}
    layers, width, heads = config["n_layer"], config["n_embd"], config["n_head"]
    eps, dim = config["layer_norm_epsilon"], width // heads
    nodes, initializers, inputs, outputs = [], [], [], []

    def constant(name, value):
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(op, ins, outs, domain="", **attributes):
        nodes.append(helper.make_node(op, ins, outs, name=outs[0], domain=domain, **attributes))
        return outs[0]

    def linear(x, name):
        y = node("MatMul", [x, constant(f"{name}.weight", weights[f"{name}.weight"])], [f"{name}.matmul"])
        return node("Add", [y, constant(f"{name}.bias", weights[f"{name}.bias"])], [f"{name}.out"])

    def attend(qkv, l):
        if attention == "mha":
            q, k, v = (f"h.{l}.{part}" for part in "qkv")
            node("Split", [qkv], [q, k, v], axis=-1, num_outputs=3)
            return node("MultiHeadAttention", [q, k, v], [f"h.{l}.attention"], "com.microsoft",
                        num_heads=heads, unidirectional=1, scale=dim ** -0.5)
        ins, outs = [qkv, "", "", "", "", "seqlens_k", "total_sequence_length"], [f"h.{l}.attention"]
        if past:
            for part, slot in (("key", 3), ("value", 4)):
                ins[slot] = f"past_{part}.{l}"
                outs.append(f"present_{part}.{l}")
                for which, group in ((ins[slot], inputs), (outs[-1], outputs)):
                    group.append(helper.make_tensor_value_info(which, TensorProto.FLOAT, [1, heads, "past", dim]))
        return node("GroupQueryAttention", ins, outs, "com.microsoft",
                    num_heads=heads, kv_num_heads=heads, scale=dim ** -0.5)

    def skip_norm(x, y, gain, name):
        """Norm of x + y, and x + y."""
        gain = constant(f"{name}.gain", weights[gain])
        outs = [f"{name}.norm", "", "", f"{name}.sum"]
        node("SkipSimplifiedLayerNormalization", [x, y, gain], outs, "com.microsoft", epsilon=eps)
        return outs[0], outs[3]

    inputs.insert(0, helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"]))
    if attention == "gqa" and past:
        inputs += [helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, [1]),
                   helper.make_tensor_value_info("total_sequence_length", TensorProto.INT32, [1]),
                   helper.make_tensor_value_info("positions", TensorProto.INT64, ["tokens"])]
        positions = "positions"
    else:
        constant("seqlens_k", np.array([config["n_positions"] - 1], np.int32))
        constant("total_sequence_length", np.array([config["n_positions"]], np.int32))
        positions = constant("positions", np.arange(config["n_positions"]))
    x = node("Gather", [constant("wte", weights["wte.weight"]), "input_ids"], ["embeds"])
    p = node("Gather", [constant("wpe", weights["wpe.weight"]), positions], ["position_embeds"])
    x = node("Add", [x, p], ["hidden"])
    h = node("SimplifiedLayerNormalization", [x, constant("h.0.ln_1", weights["h.0.ln_1.weight"])], ["h.0.norm"],
             axis=-1, epsilon=eps, stash_type=1)
    for l in range(layers):
        a = linear(attend(linear(h, f"h.{l}.attn.c_attn"), l), f"h.{l}.attn.c_proj")
        h, x = skip_norm(x, a, f"h.{l}.ln_2.weight", f"h.{l}.ln_2")
        u = node("QuickGelu", [linear(h, f"h.{l}.mlp.c_fc")], [f"h.{l}.gelu"], "com.microsoft", alpha=1.702)
        u = linear(u, f"h.{l}.mlp.c_proj")
        gain = f"h.{l + 1}.ln_1.weight" if l + 1 < layers else "ln_f.weight"
        h, x = skip_norm(x, u, gain, f"h.{l + 1}.ln_1")
    if "score.weight" in weights:
        h = node("ReduceMean", [h, constant("axes", np.array([1]))], ["pooled"], keepdims=0)
        node("MatMul", [h, constant("score.weight", weights["score.weight"].T)], ["logits"])
        nodes[-1].name, shape = "score", [1, weights["score.weight"].shape[0]]
    else:
        node("MatMul", [h, constant("lm_head.weight", weights["lm_head.weight"].T)], ["logits"])
        shape = [1, "tokens", weights["lm_head.weight"].shape[0]]
    outputs.insert(0, helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    graph = helper.make_graph(nodes, "imagegpt", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)
