"""Models by name: the built-in one, folders, and hub ids from the cache or over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from luthier.core.errors import ModelError
from luthier.core.files import HashMemory
from luthier.model.locate import STARTER_FOLDER, locate, locate_tokenizer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "tiny"}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"pickle",
    "modeling.py": b"raise SystemExit",
    "consolidated.safetensors": b"the same weights again",
}


@pytest.fixture
def hashes(tmp_path):
    return HashMemory(tmp_path / "hashes.json")


def write(folder, names=("config.json", "tokenizer.json", "model.safetensors")):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(FILES[name])
    return folder


def test_the_built_in_model_lies_in_the_package(hashes):
    found = locate("starter", None, hashes)
    assert found.path == STARTER_FOLDER
    assert (found.path / "config.json").is_file()
    assert found.identity.startswith("sha256:")


def test_a_folder_is_identified_by_its_bytes(tmp_path, hashes):
    folder = write(tmp_path / "model")
    first = locate(str(folder), None, hashes)
    assert first.path == folder
    assert first == locate(str(folder), None, hashes)
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert locate(str(folder), None, hashes).identity != first.identity


def test_a_tokenizer_folder_is_identified_without_the_weights(tmp_path, hashes):
    folder = write(tmp_path / "model")
    first = locate_tokenizer(str(folder), hashes)
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert locate_tokenizer(str(folder), hashes) == first
    (folder / "tokenizer.json").write_bytes(b'{"other": 1}')
    assert locate_tokenizer(str(folder), hashes) != first


def test_a_folder_without_a_model_is_named(tmp_path, hashes):
    with pytest.raises(ModelError, match="holds no model"):
        locate(str(tmp_path), None, hashes)
    with pytest.raises(ModelError, match="holds no tokenizer"):
        locate_tokenizer(str(tmp_path), hashes)


def in_hub(script, tmp_path, **environment):
    """What `script` prints in a fresh process, since the hub's client reads its settings once."""
    prelude = (
        "from pathlib import Path\nfrom luthier.core.files import HashMemory\nfrom luthier.core.errors import ModelError\n"
        f"from luthier.model.locate import locate, locate_tokenizer\nhashes = HashMemory(Path({str(tmp_path / 'h.json')!r}))\n"
    )
    settings = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", prelude + script], capture_output=True, text=True, env={**kept, **settings, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


SHOW = "found = locate('house/tiny', REVISION, hashes)\nprint(found.identity)\nprint(*sorted(path.name for path in found.path.iterdir()))\n"


def cache(tmp_path, names=("config.json", "tokenizer.json", "model.safetensors")):
    home = tmp_path / "hf" / "hub" / "models--house--tiny"
    write(home / "snapshots" / COMMIT, names)
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)


@pytest.mark.parametrize("revision", ["None", "'main'", f"'{COMMIT}'"])
def test_a_cached_snapshot_needs_no_network(tmp_path, revision):
    cache(tmp_path)
    lines = in_hub(SHOW.replace("REVISION", revision), tmp_path, HF_HUB_OFFLINE="1")
    assert lines == [f"commit:{COMMIT}", "config.json model.safetensors tokenizer.json"]


REFUSED = "try:\n    locate('house/tiny', None, hashes)\nexcept ModelError as error:\n    print(str(error))\n"


@pytest.mark.parametrize("names", [None, ("config.json", "tokenizer.json")])
def test_offline_without_a_whole_snapshot_both_ways_out_are_named(tmp_path, names):
    if names is not None:
        cache(tmp_path, names)
    text = "\n".join(in_hub(REFUSED, tmp_path, HF_HUB_OFFLINE="1"))
    assert "house/tiny" in text
    assert "base_model" in text
    assert "starter" in text or "safetensors" in text


def test_an_unreachable_hub_is_an_error_of_one_block(tmp_path):
    text = "\n".join(in_hub(REFUSED, tmp_path, HF_ENDPOINT="http://127.0.0.1:9"))
    assert "no such folder" in text
    assert "the hub said:" in text
    assert "Traceback" not in text


class Hub(BaseHTTPRequestHandler):
    """The few routes of a hub that fetching a snapshot takes."""

    served: list[str]
    asked: list[str]

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        self.asked.append(path)
        if path.startswith("/api/models/house/tiny/tree/"):
            tree = [{"type": "file", "oid": f"{n:040d}", "size": len(body), "path": name} for n, (name, body) in enumerate(FILES.items())]
            return self.answer(json.dumps(tree).encode(), "application/json")
        if path.startswith("/api/models/house/tiny"):
            siblings = [{"rfilename": name} for name in FILES]
            return self.answer(json.dumps({"id": "house/tiny", "sha": COMMIT, "siblings": siblings}).encode(), "application/json")
        name = path.rpartition("/")[2]
        if path.startswith("/house/tiny/resolve/") and name in FILES:
            self.served.append(name)
            return self.answer(FILES[name], "application/octet-stream")
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def answer(self, body, kind):
        self.send_response(200)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{hash(body) & 0xFFFFFFFF:08x}"',
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub():
    served: list[str] = []
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Hub,), {"served": served, "asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", served, asked
    server.shutdown()
    server.server_close()


def test_a_hub_model_is_fetched_once_without_code_and_pickles(tmp_path, hub):
    endpoint, served, asked = hub
    expected = [f"commit:{COMMIT}", "config.json model.safetensors tokenizer.json"]
    assert in_hub(SHOW.replace("REVISION", "None"), tmp_path, HF_ENDPOINT=endpoint) == expected
    assert set(served) == {"config.json", "tokenizer.json", "model.safetensors"}
    asked.clear()
    assert in_hub(SHOW.replace("REVISION", "None"), tmp_path, HF_ENDPOINT=endpoint) == expected
    assert not asked, "a snapshot that is whole is used without the network"


def test_a_hub_tokenizer_is_fetched_without_weights_and_completed_when_the_model_is_asked_for(tmp_path, hub):
    endpoint, served, _ = hub
    script = "print(locate_tokenizer('house/tiny', hashes).identity)\n"
    assert in_hub(script, tmp_path, HF_ENDPOINT=endpoint) == [f"commit:{COMMIT}"]
    assert set(served) == {"config.json", "tokenizer.json"}
    in_hub(SHOW.replace("REVISION", "None"), tmp_path, HF_ENDPOINT=endpoint)
    assert "model.safetensors" in served


def test_an_unknown_hub_id_is_named(tmp_path, hub):
    script = REFUSED.replace("house/tiny", "house/none")
    text = "\n".join(in_hub(script, tmp_path, HF_ENDPOINT=hub[0]))
    assert "house/none" in text
    assert "HF_TOKEN" in text
