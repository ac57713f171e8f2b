"""What huggingface_hub makes of the environment: hub_environment.json, a row for each environment.

Every row has the variables (nothing else is set), the files that are there, and what the library itself then says:
where its cache is, whether it is offline, which token it sends, which hub it asks, how long it waits, and whether it
draws progress bars; or the name of the exception that it raises instead. `@` stands for a temporary folder and
`PASSWD` for the home that the password file gives this user. The working folder is `@/here`.

usage: python tests/golden/hub_environment.py
"""

import importlib
import json
import os
import pwd
import tempfile
from pathlib import Path

import versions
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers

HERE = Path(__file__).resolve().parent
HOME = {"HOME": "@/home"}
SAVED = "@/home/.cache/huggingface/token"


def rows():
    """Pairs of variables and files."""
    yield {}, {}
    yield dict(HOME), {}
    # Where the cache is.
    places = [
        "@/plain", "~", "~/hh", "~/", "~root/hh", "~nosuchuser/hh", "a/~/b", "$HOME/hh", "${HOME}/hh", "$HOMEx/hh", "${HOMEx}/hh",
        "${HOME/hh", "$/hh", "${}/hh", "$$HOME", "$OTHER/hh", "~/$OTHER", "$TILDE/hh", "$TWICE/hh", "relative", "./a/../b", "",
        "@/a//b/", "@/with space", "@/$é", "$HOMEé",
    ]
    more = {"OTHER": "@/other", "TILDE": "~", "TWICE": "$OTHER"}
    for name in ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"]:
        for place in places:
            yield {**HOME, **(more if "$" in place else {}), name: place}, {}
    everything = {
        "HF_HUB_CACHE": "@/1", "HUGGINGFACE_HUB_CACHE": "@/2", "HF_HOME": "@/3", "XDG_CACHE_HOME": "@/4", **HOME,
    }
    # Each falls out in turn, then each is empty in turn.
    for first in range(1, 5):
        yield dict(list(everything.items())[first:]), {}
    for name in everything:
        yield {**everything, name: ""}, {}
    for name in ["HF_HOME", "HF_HUB_CACHE"]:
        yield {name: "~/hh"}, {}
        yield {name: "$HOME/hh"}, {}
        yield {"HOME": "", name: "~/hh"}, {}
        yield {"HOME": "/", name: "~/hh"}, {}
        yield {"HOME": "@/home/", name: "~/hh"}, {}
        yield {"HOME": "", name: "~"}, {}
    yield {"HOME": ""}, {}
    # Booleans.
    words = [
        "1", "on", "yes", "true", "ON", "Yes", "tRuE", "0", "off", "no", "false", "NO", "", "2", "y", "t", "enable", " 1", "1 ", "01", "null",
    ]
    for name in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DISABLE_PROGRESS_BARS"]:
        for word in words:
            yield {**HOME, name: word}, {SAVED: "hf_saved"}
    for first in ["", "0", "1", "no"]:
        for second in ["", "0", "1", "yes"]:
            yield {**HOME, "HF_HUB_OFFLINE": first, "TRANSFORMERS_OFFLINE": second}, {}
    # Tokens.
    tokens = [
        "hf_a", "", " ", "\n", " hf_a ", "hf_a\n", "hf_a\r\n", "\thf_a\t", "hf_\na", "hf_\r\na\n", "hf_ a", "\u00a0hf_a\u2003",
    ]
    for token in tokens:
        yield {**HOME, "HF_TOKEN": token}, {}
        yield {**HOME, "HF_TOKEN": token, "HUGGING_FACE_HUB_TOKEN": "hf_old"}, {SAVED: "hf_saved"}
        yield {**HOME, "HF_TOKEN": token}, {SAVED: "hf_saved"}
        yield {**HOME, "HUGGING_FACE_HUB_TOKEN": token}, {SAVED: "hf_saved"}
        yield dict(HOME), {SAVED: token}
    for place in [
        "@/t", "~/t", "$HOME/t", "${HOME}/t", "t", "@/none", "@/folder", "", "@/t/below", "$TILDE/t", "~nosuchuser/t",
    ]:
        files = {"@/t": "hf_t", "@/home/t": "hf_home_t", "@/here/t": "hf_here_t", "@/folder/x": "hf_x", SAVED: "hf_saved"}
        yield {**HOME, "TILDE": "~", "HF_TOKEN_PATH": place}, files
    yield {**HOME, "HF_HOME": "@/hh"}, {"@/hh/token": "hf_hh", SAVED: "hf_saved"}
    yield {**HOME, "HF_HOME": "@/hh"}, {SAVED: "hf_saved"}
    yield {**HOME, "HF_HOME": "~/hh"}, {"@/home/hh/token": "hf_hh", SAVED: "hf_saved"}
    yield {**HOME, "HF_HOME": ""}, {"@/here/token": "hf_here", SAVED: "hf_saved"}
    yield {**HOME, "HF_HUB_CACHE": "@/c"}, {"@/c/token": "hf_c", "@/token": "hf_at", SAVED: "hf_saved"}
    yield {**HOME, "XDG_CACHE_HOME": "@/xdg"}, {"@/xdg/huggingface/token": "hf_xdg", SAVED: "hf_saved"}
    yield {**HOME, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_TOKEN": "hf_a"}, {SAVED: "hf_saved"}
    # A token that is not sent is not looked for either.
    yield {**HOME, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_TOKEN_PATH": "@/folder"}, {"@/folder/x": ""}
    yield {**HOME, "HF_TOKEN": "hf_a", "HF_TOKEN_PATH": "@/folder"}, {"@/folder/x": ""}
    # The hub.
    for endpoint in [
        "https://hub.example", "https://hub.example/", "https://hub.example///", "http://h:8080/mirror/", "https://hub.example/a//", "",
    ]:
        yield {**HOME, "HF_ENDPOINT": endpoint}, {}
    for word in ["1", "no"]:
        yield {**HOME, "HUGGINGFACE_CO_STAGING": word, "HF_ENDPOINT": "https://hub.example", "HF_TOKEN_PATH": "@/t"}, {
            "@/t": "hf_t", "@/home/.cache/huggingface_staging/token": "hf_staging",
        }
        yield {**HOME, "HUGGINGFACE_CO_STAGING": word, "HUGGINGFACE_HUB_CACHE": "@/c"}, {SAVED: "hf_saved"}
    # Seconds.
    for name in ["HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"]:
        for number in ["1", "30", "0", " 7 ", "+7", "007", "1_0", "_1", "1__0", "1_", "1.5", "", "ten", "1e2", "0x10", "+ 7", "7\n"]:
            yield {**HOME, name: number}, {}


def ask(variables, files):
    """What the library says in one environment."""
    with tempfile.TemporaryDirectory() as folder:
        here = os.path.join(os.path.realpath(folder), "here")
        os.mkdir(here)
        place = os.path.dirname(here)
        for path, text in files.items():
            path = Path(path.replace("@", place, 1))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        before, cwd = dict(os.environ), os.getcwd()
        try:
            os.environ.clear()
            os.environ.update({name: value.replace("@", place, 1) for name, value in variables.items()})
            os.chdir(here)
            said = settings()
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(cwd)
        text = json.dumps(said, ensure_ascii=False).replace(place, "@")
    if "HOME" not in variables:
        text = text.replace(pwd.getpwuid(os.getuid()).pw_dir + "/", "PASSWD/")
    return json.loads(text)


def settings():
    try:
        importlib.reload(constants)
        # As hf_hub_download and snapshot_download take it, but for the working folder before it.
        cache = str(Path(constants.HF_HUB_CACHE).expanduser())
    except (ValueError, RuntimeError) as error:
        return {"error": type(error).__name__}
    try:
        token = build_hf_headers().get("authorization")
    except OSError as error:
        token = {"error": type(error).__name__}
    return {
        "cache": cache,
        "offline": constants.HF_HUB_OFFLINE,
        "token": token,
        "endpoint": constants.ENDPOINT,
        "etag_timeout": constants.HF_HUB_ETAG_TIMEOUT,
        "download_timeout": constants.HF_HUB_DOWNLOAD_TIMEOUT,
        "no_progress_bars": bool(constants.HF_HUB_DISABLE_PROGRESS_BARS),
    }


def main():
    versions.check()
    table = []
    for variables, files in rows():
        row = {"environment": variables, "files": files, "python": ask(variables, files)}
        if not files:
            del row["files"]
        table.append(row)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in table)
    text = f'{{"huggingface_hub": "{huggingface_hub.__version__}", "rows": [\n{lines}\n]}}\n'
    (HERE / "hub_environment.json").write_text(text, encoding="utf-8")
    print(f"{len(table)} environments")


if __name__ == "__main__":
    main()
