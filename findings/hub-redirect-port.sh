#!/usr/bin/env bash
# huggingface_hub 2.4.0: a mirror that sends to another port, or from http to https, lists models but gives no file.
#
# One would expect a redirection to be followed or not, the same for all requests. The listing (`model_info`) follows any;
# the question before a download (HEAD of /resolve) follows only to the same scheme, host and port or to Hugging Face's own
# hosts, since the token goes along and the answer to the left is taken for the file's own. What comes back from a mirror
# that merely moves its port is then "missing the 'X-Repo-Commit' header", wrapped into LocalEntryNotFoundError, which
# speaks of the connection. The same redirection within one port works.
#
# Seen: model_info: aaaaaaa / same port: served / other port: LocalEntryNotFoundError (FileMetadataError)
#
# Exits 0 while that is so.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q huggingface_hub==2.4.0
cat >seen.py <<'P'
import hashlib, http.server, json, os, threading

BODY = b"served"
state = {}


class Hub(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        path, _, moved = self.path.partition("?")
        body = BODY
        if not moved and (self.server is front):
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{state['to'].server_port}{path}?moved")
            body = b""
        elif path.startswith("/api/"):
            self.send_response(200)
            body = json.dumps({"id": "some/model", "sha": "a" * 40, "siblings": []}).encode()
        else:
            self.send_response(200)
            self.send_header("ETag", '"%s"' % hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest())
            self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET


front, back = (http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) for _ in range(2))
for server in (front, back):
    threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(HF_ENDPOINT=f"http://127.0.0.1:{front.server_port}", HF_HOME=os.path.abspath("home"), HF_HUB_DISABLE_XET="1")

from huggingface_hub import HfApi, hf_hub_download


def download(file):
    try:
        return open(hf_hub_download("some/model", file)).read()
    except Exception as error:
        return f"{type(error).__name__} ({type(error.__cause__).__name__})"


state["to"] = back
info = HfApi().model_info("some/model").sha[:7]
other = download("other.json")
state["to"] = front
same = download("same.json")
seen = f"model_info: {info} / same port: {same} / other port: {other}"
print(seen)
expected = "model_info: aaaaaaa / same port: served / other port: LocalEntryNotFoundError (FileMetadataError)"
assert seen == expected, expected
P
env -u HF_TOKEN -u HF_HUB_CACHE -u HF_HUB_OFFLINE venv/bin/python seen.py
