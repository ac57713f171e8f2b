#!/usr/bin/env python3
"""The public face of igpt-runtime without its feature `tools`, as a list: every item with its signature.

usage: .ci/api.py            compares it with runtime/api.txt, and shows the difference
       .ci/api.py --write    accepts it: writes runtime/api.txt

It also fails where a type of tract, prost or the packers is in the list: those change with every release of others.
What rustdoc writes as JSON is unstable, hence RUSTC_BOOTSTRAP, for rustdoc alone so that nothing else is built anew; of its
format this reads little, and names what it does not know.
"""

import difflib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTING = ROOT / "runtime" / "api.txt"
# Crates whose types may be seen, and from igpt-kernels what a caller chooses by.
CRATES = {"std", "core", "alloc", "bytes", "serde", "serde_core", "serde_json"}
OURS = {"igpt_kernels::isa::Isa", "igpt_kernels::isa::IsaError"}


def document():
    """rustdoc's JSON of the library."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as wrapper:
        wrapper.write('#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc "$@"\n')
    os.chmod(wrapper.name, 0o755)
    command = ["cargo", "rustdoc", "--quiet", "--locked", "--release", "-p", "igpt-runtime", "--lib"]
    command += ["--", "-Z", "unstable-options", "--output-format", "json"]
    try:
        subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "RUSTDOC": wrapper.name})
    finally:
        os.unlink(wrapper.name)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return json.loads((target / "doc" / "igpt_runtime.json").read_text())


class Face:
    """The items that a user of the crate can name, and the crates that they show."""

    def __init__(self, doc):
        self.index, self.paths = doc["index"], doc["paths"]
        self.crates = {int(k): v["name"] for k, v in doc["external_crates"].items()}
        self.lines, self.foreign, self.seen = set(), set(), {}
        self.items(str(doc["root"]), "igpt_runtime")

    def item(self, key):
        return self.index.get(str(key))

    def items(self, key, path):
        """Lists what module `key` shows under `path`."""
        children = filter(None, map(self.item, self.item(key)["inner"]["module"]["items"]))
        # What is shown twice is listed at the top.
        for item in sorted(children, key=lambda item: "module" in item["inner"]):
            if item["visibility"] != "public":
                continue
            (kind, inner), = item["inner"].items()
            if kind != "use":
                self.one(item, f"{path}::{item['name']}")
            elif inner["is_glob"]:
                self.items(inner["id"], path)
            elif (target := self.item(inner["id"])) is not None:
                self.one(target, f"{path}::{inner['name']}")
            else:
                self.lines.add(f"use {path}::{inner['name']} = {self.name(inner['id'], inner['source'])}")

    def one(self, item, path):
        (kind, inner), = item["inner"].items()
        first = self.seen.setdefault(item["id"], path)
        if first != path:
            self.lines.add(f"use {path} = {first}")
            return
        hard = "#[non_exhaustive] " if "non_exhaustive" in str(item.get("attrs")) else ""
        if kind == "module":
            self.lines.add(f"mod {path}")
            self.items(item["id"], path)
        elif kind == "struct":
            self.lines.add(f"{hard}struct {path}")
            fields = inner["kind"]
            fields = fields.get("plain", {}).get("fields", []) if isinstance(fields, dict) else []
            for field in map(self.item, fields):
                if field and field["visibility"] == "public":
                    self.lines.add(f"{path}.{field['name']}: {self.type(field['inner']['struct_field'])}")
            self.impls(inner["impls"], path)
        elif kind == "enum":
            self.lines.add(f"{hard}enum {path}")
            for variant in map(self.item, inner["variants"]):
                self.variant(variant, path)
            self.impls(inner["impls"], path)
        elif kind == "function":
            self.lines.add(f"fn {path}{self.signature(inner)}")
        elif kind == "constant":
            self.lines.add(f"const {path}: {self.type(inner['type'])}")
        elif kind == "assoc_const":
            self.lines.add(f"const {path}: {self.type(inner['type'])}")
        elif kind == "type_alias":
            self.lines.add(f"type {path} = {self.type(inner['type'])}")
        else:
            self.lines.add(f"{kind} {path}")

    def variant(self, variant, path):
        kind = variant["inner"]["variant"]["kind"]
        body = ""
        if isinstance(kind, dict):
            if "tuple" in kind:
                parts = [self.type(self.item(f)["inner"]["struct_field"]) for f in kind["tuple"] if f is not None]
                body = "(" + ", ".join(parts) + ")"
            else:
                parts = []
                for field in map(self.item, kind["struct"]["fields"]):
                    parts.append(f"{field['name']}: {self.type(field['inner']['struct_field'])}")
                body = " { " + ", ".join(parts) + " }"
        self.lines.add(f"{path}::{variant['name']}{body}")

    def impls(self, keys, path):
        for impl in filter(None, map(self.item, keys)):
            inner = impl["inner"]["impl"]
            if inner.get("is_synthetic") or inner.get("blanket_impl"):
                continue
            if inner["trait"]:
                self.lines.add(f"impl {self.trait(inner['trait'])} for {path}")
                continue
            for member in filter(None, map(self.item, inner["items"])):
                if member["visibility"] == "public":
                    self.one(member, f"{path}::{member['name']}")

    def name(self, key, written):
        """The full name of a type, which is noted if it is another crate's."""
        known = self.paths.get(str(key))
        if known is None:
            return written
        full = "::".join(known["path"])
        crate = known["path"][0]
        if known["crate_id"] != 0 and crate not in CRATES and full not in OURS:
            self.foreign.add(full)
        return full if crate in ("bytes", "serde", "serde_core", "serde_json", "igpt_kernels") else known["path"][-1]

    def path(self, path):
        return self.name(path["id"], path.get("path") or path.get("name")) + self.arguments(path.get("args"))

    trait = path

    def arguments(self, args):
        if not args:
            return ""
        if "parenthesized" in args:
            args = args["parenthesized"]
            output = f" -> {self.type(args['output'])}" if args["output"] else ""
            return "(" + ", ".join(map(self.type, args["inputs"])) + ")" + output
        args = args.get("angle_bracketed", {})
        parts = []
        for arg in args.get("args", []):
            if isinstance(arg, str):
                parts.append("_")
            elif "type" in arg:
                parts.append(self.type(arg["type"]))
            else:
                parts.append(str(next(iter(arg.values()))))
        for bound in args.get("constraints", args.get("bindings", [])):
            value = bound.get("binding", {}).get("equality", {})
            parts.append(f"{bound['name']} = {self.type(value['type']) if 'type' in value else '_'}")
        return "<" + ", ".join(parts) + ">" if parts else ""

    def bounds(self, bounds):
        names = [self.trait(b["trait_bound"]["trait"]) for b in bounds if "trait_bound" in b]
        return " + ".join(names)

    def signature(self, function):
        sig = function["sig"]
        inputs = [f"{name}: {self.type(t)}" for name, t in sig["inputs"]]
        output = f" -> {self.type(sig['output'])}" if sig["output"] else ""
        generics = []
        for param in function["generics"]["params"]:
            bounds = param["kind"].get("type", {}).get("bounds")
            if bounds and not param["kind"]["type"].get("is_synthetic"):
                generics.append(f"{param['name']}: {self.bounds(bounds)}")
        where = f"<{', '.join(generics)}>" if generics else ""
        return f"{where}({', '.join(inputs)}){output}"

    def type(self, t):
        if not isinstance(t, dict):
            return str(t)
        (kind, inner), = t.items()
        if kind == "resolved_path":
            return self.path(inner)
        if kind in ("generic", "primitive"):
            return inner
        if kind == "borrowed_ref":
            return f"&{'mut ' if inner.get('is_mutable') else ''}{self.type(inner['type'])}"
        if kind == "tuple":
            return "(" + ", ".join(map(self.type, inner)) + ")"
        if kind == "slice":
            return f"[{self.type(inner)}]"
        if kind == "array":
            return f"[{self.type(inner['type'])}; {inner['len']}]"
        if kind == "impl_trait":
            return f"impl {self.bounds(inner)}"
        if kind == "dyn_trait":
            return "dyn " + " + ".join(self.trait(b["trait"]) for b in inner["traits"])
        if kind == "qualified_path":
            return f"{self.type(inner['self_type'])}::{inner['name']}"
        raise SystemExit(f".ci/api.py: rustdoc's JSON has a type {kind}, which this does not know: teach it")


def main():
    face = Face(document())
    found = sorted(face.lines)
    if face.foreign:
        names = "\n  ".join(sorted(face.foreign))
        raise SystemExit(f"igpt-runtime shows types of crates that are no part of its face:\n  {names}")
    if sys.argv[1:] == ["--write"]:
        LISTING.write_text("\n".join(found) + "\n")
        return
    expected = LISTING.read_text().splitlines()
    if found != expected:
        print(*difflib.unified_diff(expected, found, "runtime/api.txt", "the code", lineterm="", n=0), sep="\n")
        raise SystemExit("the public face changed: .ci/api.py --write accepts it; say it in CHANGELOG.md")
    print(f"{len(found)} public items, as runtime/api.txt has them")


main()
