"""A training-only forward pass over the parameters of a Hugging Face ImageGPT.

Hugging Face's modules own the weights (loading, saving and every reported number go through them);
this file only computes the same function faster on a CPU: weights and products in bfloat16, the
residual stream, norms' sums and losses in float32, attention as plain matrix products, the whole
thing compiled. check() holds it against Hugging Face's own forward pass and is run at every start.
"""

import torch
import torch.nn.functional as F


def rms(x, gain, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain


def body(p, config, ids, dtype):
    """Token ids [B,T] to the output of ln_f, [B,T,C] float32."""
    (b, t), c, heads = ids.shape, config.n_embd, config.n_head
    mask = torch.full((t, t), -1e30).triu(1)
    x = p["wte.weight"][ids] + p["wpe.weight"][:t]
    for layer in range(config.n_layer):
        w = lambda name: p[f"h.{layer}.{name}"].to(dtype)
        eps = config.layer_norm_epsilon
        h = rms(x, p[f"h.{layer}.ln_1.weight"], eps).to(dtype).view(-1, c)
        qkv = torch.addmm(w("attn.c_attn.bias"), h, w("attn.c_attn.weight"))
        q, k, v = qkv.view(b, t, 3, heads, c // heads).permute(2, 0, 3, 1, 4).reshape(
            3, b * heads, t, c // heads)
        scores = torch.bmm(q, k.transpose(1, 2)).float() * (c // heads) ** -0.5 + mask
        a = torch.bmm(torch.softmax(scores, -1).to(dtype), v)
        a = a.view(b, heads, t, c // heads).transpose(1, 2).reshape(-1, c)
        x = x + torch.addmm(w("attn.c_proj.bias"), a, w("attn.c_proj.weight")).view(b, t, c)
        h = rms(x, p[f"h.{layer}.ln_2.weight"], eps).to(dtype).view(-1, c)
        u = torch.addmm(w("mlp.c_fc.bias"), h, w("mlp.c_fc.weight"))
        u = u * torch.sigmoid(1.702 * u)
        x = x + torch.addmm(w("mlp.c_proj.bias"), u, w("mlp.c_proj.weight")).view(b, t, c)
    return rms(x, p["ln_f.weight"], config.layer_norm_epsilon)


def names(model):
    """The model's parameters by name, without the prefix `transformer.`."""
    return {n.removeprefix("transformer."): q for n, q in model.named_parameters()}


def language_loss(p, config, inputs, targets, dtype=torch.bfloat16):
    """Mean cross-entropy in nats of targets [B,T] given inputs [B,T]."""
    y = body(p, config, inputs, dtype)
    logits = y.to(dtype).view(-1, config.n_embd) @ p["lm_head.weight"].to(dtype).t()
    return F.cross_entropy(logits.float(), targets.reshape(-1))


def classifier_losses(p, config, ids, labels, smoothing, dtype=torch.bfloat16):
    """(cross-entropy of the labels, nats per token of the generative head) on raw tokens, no start token."""
    y = body(p, config, ids, dtype)
    scores = y.mean(1) @ p["score.weight"].t()
    logits = y[:, :-1].to(dtype).reshape(-1, config.n_embd) @ p["lm_head.weight"].to(dtype).t()
    return (F.cross_entropy(scores, labels, label_smoothing=smoothing),
            F.cross_entropy(logits.float(), ids[:, 1:].reshape(-1)))


def shift_right(ids, start):
    """The input of generative training: the start token, then all tokens but the last."""
    return torch.cat([torch.full_like(ids[:, :1], start), ids[:, :-1]], 1)


def check(model, ids):
    """Fails unless this file's forward pass is Hugging Face's (float32, a small batch)."""
    c = model.config
    assert (c.activation_function == "quick_gelu" and c.scale_attn_weights and c.n_inner is None
            and not c.scale_attn_by_inverse_layer_idx), "fast.py does not know this configuration"
    with torch.no_grad():
        theirs = model.transformer(ids, use_cache=False).last_hidden_state
        ours = body(names(model), c, ids, torch.float32)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
