"""What rooms hand to each other across a floor: the shapes that a stage relies on, without their implementation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from luthier.core.candidates import TUNED
from luthier.core.records import JsonObject, Message


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A request to a `Generator`. `model` is one of its `names()`; `temperature` 0 is greedy; `template` as in `Example`.

    The answer ends before the first text of `stop` that it would hold. `top_logprobs` asks how likely each token was, and so many of the
    likeliest in its place; None asks for neither. Equal seeds draw equally, None draws otherwise each time. With `cut_to_fit` the answer
    has as many tokens as the prompt leaves in the model's positions, where that is fewer than `max_new_tokens`.
    """

    id: str
    messages: tuple[Message, ...]
    model: str = TUNED
    tools: tuple[JsonObject, ...] = ()
    template: str = ""
    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = 0
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    cut_to_fit: bool = False


@dataclass(frozen=True, slots=True)
class LikelyToken:
    """A token by its text, and its log-probability in nats. A token that holds a part of a character reads as U+FFFD."""

    text: str
    nats: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of an answer, its log-probability in nats before any temperature, and the likeliest tokens in its place, best first."""

    text: str
    nats: float
    likely: tuple[LikelyToken, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """A piece of text that was just generated for request `id`; with `logprobs`, where they were asked for, of the tokens up to its end."""

    id: str
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The end of request `id`: the whole text without end-of-turn tokens; `finish_reason` is `stop` or `length`, of a remote
    model `content_filter` too."""

    id: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """Request `id` could not be answered; `message` says why.

    `field` is the part of the request that it lies in, where one does; `may_pass`: the same request may be answered later on.
    """

    id: str
    message: str
    field: str = ""
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer's summed log-probability in nats and its number of tokens; `cut_tokens` of what stands before it were left away."""

    nats: float
    tokens: int
    cut_tokens: int = 0


GenerationEvent = TokenEvent | DoneEvent | ErrorEvent


@runtime_checkable
class Generator(Protocol):
    """Something that answers requests: the local model, a remote endpoint, or the server's engine process."""

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        """Events of all requests in any order; closing the iterator cancels what is still running."""
        ...

    def score(self, rows: Iterable[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:
        """For each (messages, answer): how likely the model finds the answer.

        Messages that are all of the role `TEXT_ROLE` are plain text, worded by no template: the answer follows it without a break. A
        model that puts no token of its own in front of a text has no log-probability for its first token, which then does not count.
        """
        ...

    def names(self) -> tuple[str, ...]:
        """The models that a request can name, `base` and `tuned` for a local run."""
        ...


class Tokenizer(Protocol):
    """Text to token ids and back."""

    bos_id: int | None
    eos_id: int
    pad_id: int

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; special tokens written in the text are recognised, none is added."""
        ...

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of `ids`."""
        ...


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One name in a tree. `path` is relative, with `/`; `kind` is `file`, `folder` or `link`; `content` is a link's target as bytes.

    `mode` holds the permission bits, `mtime_ns` the time of change in nanoseconds.
    """

    path: str
    kind: str
    mode: int
    mtime_ns: int
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Tree:
    """A file tree that every run gets a fresh copy of; names are made in the order of `nodes`, folders before what lies in them."""

    nodes: tuple[TreeNode, ...] = ()
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. `seconds` is wall time; `cpu_seconds` and `file_bytes` hold for each process, `output_bytes` for each stream.

    `memory_bytes` holds for all processes and their temporary files together, `tree_bytes` and `tree_entries` for each writable place.
    """

    seconds: float = 10.0
    cpu_seconds: int = 10
    memory_bytes: int = 1 << 30
    processes: int = 64
    file_bytes: int = 64 << 20
    open_files: int = 256
    output_bytes: int = 1 << 20
    tree_bytes: int = 256 << 20
    tree_entries: int = 20_000


@dataclass(frozen=True, slots=True)
class Job:
    """A program to run: `argv` with `stdin`, in a fresh copy of `tree` at `mount`, started in `directory` (`mount` where empty).

    `files` are laid read-only at absolute paths; `environment` is all that the program sees besides PATH, HOME, LANG, TZ and USER.
    The resulting tree is read only where `wants_tree` is true.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    tree: Tree = Tree()
    mount: str = "/work"
    directory: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    wants_tree: bool = True


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name in the tree that a run left behind. `kind` is `file`, `folder`, `link` or `other` (a pipe or socket).

    `content` is a file's SHA-256 or a link's target; it is empty for the rest.
    """

    path: str
    kind: str
    mode: int
    content: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. `exit_code` is None where the run was stopped; a program ended by a signal has 128 + `signal`, as shells say it.

    `reason` is `done`, `timeout`, `memory`, `output`, `processes`, `files` (too many names) or `killed` (from outside). `stdout` and
    `stderr` are cut at `Limits.output_bytes`, and then `stdout_truncated` or `stderr_truncated` is true. `tree` is sorted by path;
    `tree_complete` is false where it was too large, too deep or too many to be read whole.
    """

    reason: str
    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    stdout_truncated: bool
    stderr_truncated: bool
    seconds: float
    tree: tuple[TreeEntry, ...] = ()
    tree_complete: bool = True


class Sandbox(Protocol):
    """Runs programs where they can do no harm."""

    def run(self, job: Job) -> Outcome:
        """Runs `job`; returns when nothing of it is alive any more. Safe to call from several threads."""
        ...

    def run_python(self, source: str, seconds: float, stdin: bytes = b"") -> Outcome:
        """Runs a Python program with this interpreter's version and its standard library alone, and the default limits otherwise."""
        ...
