"""The training loop every run shares: optimiser, learning-rate schedule, averaging, resumable checkpoints.

Matrices inside the blocks are trained with Muon (momentum whose matrix is orthogonalised by a
Newton-Schulz iteration), everything else with AdamW. The schedule runs against a number of steps, a
wall-clock deadline, or whichever of the two comes first, so that a run on a shared machine always
ends annealed. A checkpoint holds all that a killed run needs to go on; it is replaced atomically.
"""

import argparse
import math
import os
import time

import torch

import data

MATRICES = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def orthogonalise(g, steps=5):
    """Newton-Schulz iteration on a stack of matrices [N,R,C] with R <= C: singular values to about 1."""
    x = g.to(torch.bfloat16)
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(steps):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.float()


class Muon:
    """Muon for the blocks' matrices, batched over the layers."""

    def __init__(self, params, momentum=0.95):
        self.params, self.momentum = params, momentum
        self.buffers = [torch.zeros_like(q) for q in params]

    def step(self, lr, decay):
        stacks = {}
        for index, (q, m) in enumerate(zip(self.params, self.buffers)):
            m.lerp_(q.grad, 1 - self.momentum)
            g = q.grad.lerp(m, self.momentum)
            # q, k and v are three maps that share a tensor: each is orthogonalised on its own.
            for part, piece in enumerate(g.chunk(3, 1) if g.shape[1] == 3 * g.shape[0] else (g,)):
                wide = piece if piece.shape[0] <= piece.shape[1] else piece.t()
                stacks.setdefault(wide.shape, []).append((index, part, wide))
        with torch.no_grad():
            for q in self.params:
                q.mul_(1 - lr * decay)
            for stack in stacks.values():
                for (index, part, wide), o in zip(stack, orthogonalise(torch.stack([s[2] for s in stack]))):
                    q = self.params[index]
                    rows, cols = q.shape if q.shape[1] != 3 * q.shape[0] else (q.shape[0],) * 2
                    target = q[:, part * cols:(part + 1) * cols]
                    o = o if o.shape == target.shape else o.t()
                    # Conv1D keeps [in, out]: Muon's gain is sqrt(out / in) where that is above 1.
                    target.sub_(o, alpha=lr * max(1.0, cols / rows) ** 0.5)


class Run:
    """One training run over the named parameters `p` of `model`."""

    def __init__(self, p, folder, args):
        os.makedirs(folder, exist_ok=True)
        self.p, self.folder, self.args = p, folder, args
        matrices = [q for n, q in p.items() if n.endswith(MATRICES)]
        self.muon = Muon(matrices)
        vectors = [q for n, q in p.items() if not n.endswith(MATRICES)]
        self.adam = torch.optim.AdamW(vectors, lr=1.0, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
        self.average = {n: q.detach().clone() for n, q in p.items()}
        self.step, self.begun, self.used, self.curve = 0, time.time(), 0.0, []
        self.path = os.path.join(folder, "state.pt")
        if os.path.exists(self.path):
            s = torch.load(self.path, weights_only=True)
            with torch.no_grad():
                for n, q in p.items():
                    q.copy_(s["params"][n])
            self.average, self.muon.buffers = s["average"], s["muon"]
            self.adam.load_state_dict(s["adam"])
            self.step, self.begun, self.used, self.curve = s["step"], s["begun"], s["used"], s["curve"]
            print(f"resumed at step {self.step}", flush=True)
        self.clock = time.time()

    def progress(self):
        """How much of the schedule is over, 0 to 1."""
        a, done = self.args, 0.0
        if a.steps:
            done = self.step / a.steps
        if a.deadline:
            done = max(done, (time.time() - self.begun) / max(a.deadline - self.begun, 1.0))
        return min(done, 1.0)

    def factor(self):
        """The learning rate's factor: linear warm-up over the first steps, then cosine to 1%."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return min(1.0, (self.step + 1) / self.args.warmup) * (0.01 + 0.99 * cosine)

    def update(self):
        """One optimiser step from the gradients in place."""
        f, a = self.factor(), self.args
        torch.nn.utils.clip_grad_norm_(list(self.p.values()), 1.0)
        self.muon.step(a.lr * f, a.decay)
        self.adam.param_groups[0]["lr"] = a.lr_rest * f
        self.adam.step()
        for q in self.p.values():
            q.grad = None
        self.step += 1
        # The average follows quickly at first and slowly later; what it holds at the end is the result.
        weight = max(1 - a.average, 1.0 / self.step)
        torch._foreach_lerp_(list(self.average.values()), [q.detach() for q in self.p.values()], weight)

    def save(self):
        self.used += time.time() - self.clock
        self.clock = time.time()
        state = {"params": {n: q.detach() for n, q in self.p.items()}, "average": self.average,
                 "muon": self.muon.buffers, "adam": self.adam.state_dict(), "step": self.step,
                 "begun": self.begun, "used": self.used, "curve": self.curve}
        torch.save(state, self.path + ".part")
        os.replace(self.path + ".part", self.path)
        data.write_json(os.path.join(self.folder, "curve.json"), self.curve)

    def loop(self, batches, losses, validate):
        """Trains to the end of the schedule. losses(ids, labels) -> (loss, {name: number to log})."""
        a, saved, shown, sums, first = self.args, time.time(), time.time(), {}, self.step
        begin = time.time()
        while self.progress() < 1.0:
            ids, labels = next(batches)
            loss, parts = losses(torch.from_numpy(ids), torch.from_numpy(labels))
            loss.backward()
            self.update()
            for k, v in parts.items():
                sums.setdefault(k, []).append(v.detach())
            if self.step % a.log == 0:
                row = {"step": self.step, "progress": round(self.progress(), 4),
                       "seconds": round(self.used + time.time() - self.clock, 1)}
                row |= {k: round(float(torch.stack(v).mean()), 4) for k, v in sums.items()}
                row["images_per_s"] = round((self.step - first) * a.batch / (time.time() - begin), 1)
                sums = {}
                self.curve.append(row)
                print(row, flush=True)
            if time.time() - saved > a.save_every:
                saved = time.time()
                self.save()
        with torch.no_grad():
            for n, q in self.p.items():
                q.copy_(self.average[n])
        if validate:
            self.curve.append({"step": self.step} | validate())
            print(self.curve[-1], flush=True)
        self.save()


def add_arguments(parser):
    """The options every run shares."""
    parser.add_argument("output", help="folder for the checkpoint and the run's state")
    parser.add_argument("--data", default=data.DEFAULT_DATA)
    parser.add_argument("--cache", default="greys.npy", help="file for the shifted, shrunken images")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many minutes of wall clock")
    parser.add_argument("--until", default="", help="stop at this local time today, HH:MM")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--average", type=float, default=0.995)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--log", type=int, default=25)
    parser.add_argument("--save-every", type=float, default=120, help="seconds")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)


def prepare(args):
    """Turns --minutes or --until into a deadline and sets the number of threads."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.deadline = time.time() + 60 * args.minutes if args.minutes else 0
    if args.until:
        now = time.localtime()
        hour, minute = map(int, args.until.split(":"))
        args.deadline = time.mktime(now[:3] + (hour, minute, 0) + now[6:])
    if not (args.steps or args.deadline):
        raise SystemExit("say how long: --steps, --minutes or --until")
