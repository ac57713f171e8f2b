#!/usr/bin/env bash
# huggingface_hub 2.4.0: a file that the hub no longer gives us is served from the cache, without a word.
#
# One would expect `hf_hub_download` to raise GatedRepoError once the hub answers 401 with X-Error-Code: GatedRepo, because
# a token has been revoked or a model has been gated, and the hub is plainly in reach. It does so only where the file was
# never fetched. Where an older one of this revision is in the cache, that path comes back: no exception, no warning, no
# line in the log at the default level, although the branch may have moved on since. A program that wants to know has to
# ask `model_info` first, which raises.
#
# Seen: first: old weights / then, refused: old weights, 0 warnings, log '' / not cached: GatedRepoError / model_info: GatedRepoError
set -euo pipefail
D=$(mktemp -d)
trap 'rm -rf "$D"' EXIT
cd "$D"
python3 -m venv venv
venv/bin/pip install -q huggingface_hub==2.4.0
cat >seen.py <<'P'
import hashlib, http.server, io, logging, os, threading, warnings
from pathlib import Path

FILES = {"config.json": b"old weights"}
state = {"gated": False}


class Hub(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        name = self.path.split("/")[-1]
        body = FILES.get(name, b"{}")
        if state["gated"]:
            self.send_response(401)
            self.send_header("X-Error-Code", "GatedRepo")
            body = b"{}"
        else:
            self.send_response(200)
            self.send_header("ETag", '"%s"' % hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest())
            self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HOME=os.path.abspath("home"), HF_HUB_DISABLE_XET="1")

from huggingface_hub import HfApi, hf_hub_download

log = io.StringIO()
logging.getLogger("huggingface_hub").addHandler(logging.StreamHandler(log))


def attempt(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__


first = Path(hf_hub_download("some/model", "config.json")).read_text()
state["gated"] = True
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    then = attempt(lambda: Path(hf_hub_download("some/model", "config.json")).read_text())
other = attempt(lambda: hf_hub_download("some/model", "model.safetensors"))
info = attempt(lambda: HfApi().model_info("some/model"))
seen = f"first: {first} / then, refused: {then}, {len(caught)} warnings, log {log.getvalue()!r} / not cached: {other} / model_info: {info}"
print(seen)
expected = "first: old weights / then, refused: old weights, 0 warnings, log '' / not cached: GatedRepoError / model_info: GatedRepoError"
assert seen == expected, expected
P
env -u HF_TOKEN -u HF_HUB_CACHE -u HF_HUB_OFFLINE venv/bin/python seen.py
