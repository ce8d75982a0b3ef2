"""A package `vllm` whose server speaks the HTTP that is used of the real one, and runs no kernels.

It stands in for the handling of the process and for what goes over the wire: how it is started, asked, watched and ended. What vLLM makes
of a model is tested against the real one (`tests/gpu/test_vllm_server_on_cuda.py`).
"""

from __future__ import annotations

from pathlib import Path

# Its mode is what `set_mode` says when it starts: `ok` tells which model was asked with how many ids; `model` answers greedily with the
# model itself; `crash` ends before it answers; `brief` as soon as it has said once that it is well;
# `odd` names its models by numbers; `slow` answers after two seconds; `open` asks for no key; `mute` is never well. Its log is
# what it was started and asked with.
PROGRAM = r"""
import argparse, json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOG = os.environ["VLLM_STAND_IN_LOG"]
MODE = open(LOG + ".mode").read() if os.path.exists(LOG + ".mode") else "ok"

def note(**told):
    with open(LOG, "a") as log:
        log.write(json.dumps(told) + "\n")

parser = argparse.ArgumentParser(allow_abbrev=False)
for name in ("model", "served-model-name", "host", "dtype", "generation-config", "quantization"):
    parser.add_argument(f"--{name}")
for name in ("port", "seed", "max-num-seqs", "max-logprobs", "max-model-len", "max-loras", "max-cpu-loras", "max-lora-rank"):
    parser.add_argument(f"--{name}", type=int)
parser.add_argument("--gpu-memory-utilization", type=float)
for name in ("enable-lora", "disable-uvicorn-access-log", "enforce-eager"):
    parser.add_argument(f"--{name}", action="store_true")
given = parser.parse_args()
KEY = os.environ["VLLM_API_KEY"]
note(argv=sys.argv[1:], env=sorted(os.environ), key=KEY, pid=os.getpid())
print("INFO starting with", KEY, flush=True)
if MODE == "crash":
    print("(EngineCore pid=7) ERROR torch.OutOfMemoryError: CUDA out of memory", flush=True)
    print("RuntimeError: Engine core initialization failed. See root cause above.", file=sys.stderr, flush=True)
    sys.exit(1)
STARTED = time.monotonic()
ADAPTERS, ALLOWS = {}, os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "True"

class Greedy:
    def __init__(self):
        import torch
        from peft import PeftModel
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM
        self.torch, self.peft, self.lock, self.model = torch, PeftModel, threading.Lock(), None
        torch.set_num_threads(1)
        self.load = lambda: AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32).eval()
        self.tokenizer = Tokenizer.from_file(os.path.join(given.model, "tokenizer.json"))
    def answer(self, name, body):
        with self.lock, self.torch.inference_mode():
            model = self.load() if name not in ADAPTERS else self.peft.from_pretrained(self.load(), ADAPTERS[name]).eval()
            ids, made, told, end = list(body["prompt"]), [], "", "length"
            while len(made) < body["max_tokens"]:
                logits = model(self.torch.tensor([ids + made])).logits[0, -1].log_softmax(-1)
                made.append(int(logits.argmax()))
                if made[-1] in body["stop_token_ids"]:
                    end = "stop"
                text = self.tokenizer.decode(made[:-1] if end == "stop" else made)
                stop = min((text.find(word) for word in body["stop"] if word in text), default=-1)
                text, reason = (text[:stop], "text") if stop >= 0 else (text, made[-1])
                over = stop >= 0 or end == "stop" or len(made) == body["max_tokens"]
                if text.endswith("\ufffd") and not over:
                    continue
                end = "stop" if stop >= 0 else end
                yield text[len(told):], end if over else None, reason, float(logits[made[-1]])
                told = text
                if over:
                    return

greedy = Greedy() if MODE == "model" else None

def fake(name, body):
    words = [f"{name}", " with ", f"{len(body['prompt'])}", " ids"]
    for number in range(10_000 if body["max_tokens"] == 150 else len(words)):
        time.sleep(0.02)
        yield words[number % len(words)], "stop" if number == len(words) - 1 and body["max_tokens"] != 150 else None, 2, -0.5

class Served(BaseHTTPRequestHandler):
    def say(self, status, told):
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def is_known(self):
        if MODE == "open" or self.headers["Authorization"] == "Bearer " + KEY:
            return True
        self.say(401, {"error": "Unauthorized"})
        return False
    def do_GET(self):
        if self.path == "/health":
            well = MODE != "mute" and (MODE != "slow" or time.monotonic() - STARTED > 2)
            self.say(200 if well else 503, {})
        elif MODE == "brief":
            print("RuntimeError: it lived for one answer", flush=True)
            os._exit(1)
        elif self.is_known():
            self.say(200, {"data": [1]} if MODE == "odd" else {"data": [{"id": name} for name in (given.served_model_name, *ADAPTERS)]})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_known():
            return
        note(path=self.path, body=body)
        if self.path == "/v1/load_lora_adapter":
            if not (given.enable_lora and ALLOWS) or not os.path.isfile(os.path.join(body["lora_path"], "adapter_config.json")):
                return self.say(400, {"error": {"message": f"no adapter, {KEY}"}})
            ADAPTERS[body["lora_name"]] = body["lora_path"]
            return self.say(200, "Success")
        if self.path == "/v1/unload_lora_adapter":
            gone = ADAPTERS.pop(body["lora_name"], None)
            return self.say(200 if gone else 404, "Success" if gone else {"error": {"message": "cannot be found"}})
        if body["model"] not in (given.served_model_name, *ADAPTERS):
            return self.say(404, {"error": {"message": "no such model"}})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        count, answer = 0, greedy.answer if greedy else fake
        try:
            for text, reason, stop, nats in answer(body["model"], body):
                count += 1
                choice = {"index": 0, "text": text, "finish_reason": reason, "stop_reason": stop if reason == "stop" else None}
                if "logprobs" in body:
                    choice["logprobs"] = {"tokens": [text], "token_logprobs": [nats], "top_logprobs": [{text: nats}]}
                self.tell({"choices": [choice]})
            self.tell({"choices": [], "usage": {"prompt_tokens": len(body["prompt"]), "completion_tokens": count}})
            self.tell("[DONE]")
        except (BrokenPipeError, ConnectionResetError):
            note(left=body["model"])
    def tell(self, piece):
        self.wfile.write(b"data: " + (piece if isinstance(piece, str) else json.dumps(piece)).encode() + b"\n\n")
        self.wfile.flush()
    def log_message(self, *words):
        pass

ThreadingHTTPServer((given.host, given.port), Served).serve_forever()
"""


def make_vllm(folder: Path) -> Path:
    """A folder for `PYTHONPATH` with such a package in it."""
    package = folder / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for place in (package, package.parent, package.parent.parent):
        (place / "__init__.py").write_text("")
    (package / "api_server.py").write_text(PROGRAM)
    return folder


def set_mode(log: Path, mode: str) -> None:
    """How those answer that are started from now on and write to `log`."""
    Path(f"{log}.mode").write_text(mode)
