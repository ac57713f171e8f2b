"""Quantisation-aware weights: the block's matrices on the int8 grid that `igpt quantize` stores.

Each output channel (column of a Conv1D weight, [in, out]) has one step; weights are whole multiples of
it in [-127, 127] (Jacob et al. 2018, arXiv:1712.05877, section 3; the straight-through estimator is
Bengio et al. 2013, arXiv:1308.3432). The step keeps four significant bits, so that step times integer has
at most eleven and float16, in which the checkpoint is stored, holds it exactly; it is rounded towards
zero, so that each column has a weight at +-127 and the quantiser finds the same step again.
"""

import torch

LIMIT = 127


def steps(w):
    """One step per column of w [in, out], 0 where the column is zero."""
    mantissa, exponent = torch.frexp(w.abs().amax(0) / LIMIT)
    return torch.ldexp(torch.floor(mantissa * 16) / 16, exponent)


def snap(w):
    """w [in, out] on its grid."""
    step = steps(w)
    return (w / step.clamp_min(1e-30)).round_().clamp_(-LIMIT, LIMIT) * step


def straight_through(w):
    """snap(w) in the forward pass, w in the backward pass."""
    return w + (snap(w) - w).detach()
