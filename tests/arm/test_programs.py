#!/usr/bin/env python3
"""Reads the messages of `cargo test --no-run --message-format=json` and prints the test programs of the named packages,
one a line: the package's folder, a tab, the program. usage: ... | test_programs.py PACKAGE..."""

import json
import os
import sys

for line in sys.stdin:
    if not line.startswith("{"):
        continue
    message = json.loads(line)
    if message.get("reason") != "compiler-artifact" or not message.get("executable"):
        continue
    name = message["package_id"].split("#")[-1].split("@")[0]
    folder = os.path.dirname(message["manifest_path"])
    # The id of a path package names it only where the folder's name differs.
    if message["profile"]["test"] and (name in sys.argv[1:] or name[0].isdigit() and os.path.basename(folder) in sys.argv[1:]):
        print(folder, message["executable"], sep="\t")
