"""The program that tests an answer, given to the sandbox as text: it never runs in Luthier's own process.

Two processes stand in the sandbox. The *referee* (this file, started first) holds the tests and, unread in its standard input, a word
drawn at random for this one run. The *player* (this file again, started by the referee) holds the answer's code and nothing else. A test
that calls the answer's function sends the arguments to the player and gets plain data back. So the answer cannot end the tests
(`sys.exit`, `os._exit` end the player alone), cannot change them, cannot return an object that claims to equal everything, and cannot
know the word that the referee prints once the last test has passed. A referee whose memory the player could open would give the word
away, hence `PR_SET_DUMPABLE`.

What crosses is None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, range, Fraction, Decimal; anything else
that the answer returns arrives as an `Opaque` that equals nothing. Arguments that the answer changed in place are changed on this side too.
"""

from __future__ import annotations

import ast
import builtins
import ctypes
import importlib.abc
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

# linux/include/uapi/linux/prctl.h: no other process of this user may open this one's memory or descriptors.
_PR_SET_DUMPABLE = 4
_LENGTH_BYTES = 8
_MAX_REPLY_BYTES = 1 << 26
_MAX_MESSAGE = 300
_SMALL_INT = 1 << 53
_CONTAINERS: dict[str, Callable[..., Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


class Opaque:
    """A value of the answer's that cannot be handed over; it equals nothing."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"<an object of the answer, {self.kind}>"


class CannotHandOver(Exception):
    """The test gives the answer something that is no plain data."""


class AnswerRaised(Exception):
    """The answer raised an exception that is none of Python's own."""


def encode(value: Any) -> Any:
    """`value` as JSON, lists as lists and other types tagged; TypeError where it is no plain data."""
    if value is None or isinstance(value, bool | float | str):
        return value if type(value) in (type(None), bool, float, str) else type(value).__mro__[-2](value)
    if isinstance(value, int):
        return int(value) if -_SMALL_INT < value < _SMALL_INT else {"int": hex(value)}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, bytes | bytearray):
        return {"bytearray" if isinstance(value, bytearray) else "bytes": value.hex()}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    for name, kind in _CONTAINERS.items():
        if isinstance(value, kind):  # type: ignore[arg-type]
            return {name: [encode(item) for item in value]}
    for number in (complex, Fraction, Decimal):
        if isinstance(value, number):
            return {number.__name__: str(value)}
    raise TypeError(type(value).__name__)


def decode(value: Any) -> Any:
    """The value that `encode` wrote; ValueError, TypeError or LookupError where it wrote no such thing."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, inner),) = value.items()
    if tag in _CONTAINERS:
        return _CONTAINERS[tag](decode(item) for item in inner)
    simple: dict[str, Callable[[Any], Any]] = {
        "int": lambda text: int(text, 16),
        "dict": lambda pairs: {decode(key): decode(item) for key, item in pairs},
        "bytes": bytes.fromhex,
        "bytearray": bytearray.fromhex,
        "range": lambda parts: range(*parts),
        "complex": complex,
        "Fraction": Fraction,
        "Decimal": Decimal,
        "opaque": Opaque,
    }
    return simple[tag](inner)


def read_exactly(descriptor: int, count: int) -> bytes:
    """`count` bytes and not one more; EOFError where the stream ends before."""
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def send(descriptor: int, value: Any) -> None:
    """Writes one JSON value behind its length."""
    content = json.dumps(value).encode("ascii")
    rest = memoryview(len(content).to_bytes(_LENGTH_BYTES, "big") + content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int) -> Any:
    """The next JSON value; ValueError where it is too large or none."""
    count = int.from_bytes(read_exactly(descriptor, _LENGTH_BYTES), "big")
    if count > _MAX_REPLY_BYTES:
        raise ValueError(f"a value of {count:,} bytes")
    return json.loads(read_exactly(descriptor, count))


class _Text(importlib.abc.InspectLoader):
    """Loads a module from a text that we were given."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, fullname: str) -> str:
        return self._text


def load(name: str, text: str) -> types.ModuleType:
    """A module named `name` made from `text`; whatever the text raises."""
    module = types.ModuleType(name)
    module.__file__ = f"<{name}>"
    _Text(text).exec_module(module)
    return module


class _Caught:
    """Runs a block of the answer's and keeps what it raises, `SystemExit` too."""

    error: BaseException | None = None

    def __enter__(self) -> _Caught:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self.error = error
        return True

    def told(self) -> dict[str, str]:
        """The exception as the player tells of it."""
        text = ""
        with _Caught():
            text = str(self.error)[:_MAX_MESSAGE]
        return {"raised": type(self.error).__name__, "text": text}


# The player.


def play() -> None:
    """Loads the first of the answer's readings that is Python and defines what is asked for, then answers calls until the end."""
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    job = receive(reading)
    module: types.ModuleType | None = None
    with _Caught() as caught:
        module = _first_that_loads(job["programs"], job["entry_point"])
    if module is None:
        send(writing, caught.told())
        return
    send(writing, {"names": [name for name, value in vars(module).items() if callable(value)]})
    while True:
        send(writing, _answered(module, receive(reading)))


def _first_that_loads(programs: list[str], entry_point: str) -> types.ModuleType:
    """Readings that do not compile, or do not name the entry point, are passed over; the last one's error stands."""
    failed: Exception = SyntaxError("the answer holds no code")
    for text in programs:
        try:
            tree = ast.parse(text)
            compile(text, "<answer>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            failed = error
            continue
        if entry_point and not any(entry_point in _bound_names(node) for node in tree.body):
            failed = NameError(f"the answer does not define {entry_point}")
            continue
        return load("answer", text)
    raise failed


def _bound_names(node: ast.stmt) -> set[str]:
    """The names that a statement at the top binds, below conditions too."""
    names = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(inner.name)
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif isinstance(inner, ast.alias):
            names.add(inner.asname or inner.name)
    return names


def _answered(module: types.ModuleType, call: dict[str, Any]) -> dict[str, Any]:
    args, named = decode(call["args"]), decode(call["named"])
    value: Any = None
    with _Caught() as caught:
        value = getattr(module, call["name"])(*args, **named)
    if caught.error is not None:
        return caught.told()
    try:
        reply = {"value": encode(value)}
    except (TypeError, ValueError, RecursionError):
        reply = {"value": {"opaque": type(value).__name__}}
    try:
        after = encode(args)
    except (TypeError, ValueError, RecursionError):
        return reply
    return {**reply, "args": after} if after != call["args"] else reply


# The referee.


class Player:
    """The answer's process, as the referee sees it."""

    def __init__(self, source: str, programs: list[str], entry_point: str) -> None:
        command = [sys.executable, "-I", "-S", "-c", source, "player"]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._writing, self._reading = self._child.stdin.fileno(), self._child.stdout.fileno()
        send(self._writing, {"programs": programs, "entry_point": entry_point})
        self.names: list[str] = self._reply()["names"]

    def function(self, name: str) -> Callable[..., Any]:
        """The answer's function `name`, to be called as if it stood here."""

        def stand_in(*args: Any, **named: Any) -> Any:
            return self._call(name, list(args), named)

        stand_in.__name__ = name
        return stand_in

    def _call(self, name: str, args: list[Any], named: dict[str, Any]) -> Any:
        try:
            call = {"name": name, "args": encode(args), "named": encode(named)}
        except TypeError as error:
            raise CannotHandOver(f"the test gives `{name}` an argument of the type {error}") from None
        send(self._writing, call)
        reply = self._reply()
        for before, after in zip(args, decode(reply.get("args", [])), strict=False):
            if isinstance(before, list | bytearray):
                before[:] = after
            elif isinstance(before, dict | set):
                before.clear()
                before.update(after)
        return decode(reply["value"])

    def _reply(self) -> dict[str, Any]:
        reply = receive(self._reading)
        if not isinstance(reply, dict):
            raise AnswerRaised("the player was tampered with")
        if "raised" in reply:
            kind, text = getattr(builtins, str(reply["raised"]), None), str(reply.get("text", ""))[:_MAX_MESSAGE]
            if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError | BaseExceptionGroup):
                raise kind(text)
            raise AnswerRaised(f"{reply['raised']}: {text}"[:_MAX_MESSAGE])
        return reply


def free_names(text: str) -> set[str]:
    """The names that a program reads and does not bind itself."""
    tree = ast.parse(text)
    bound = set().union(*(_bound_names(node) for node in tree.body), vars(builtins))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - bound


def judge() -> None:
    """Runs the tests; prints one line of JSON, which holds the run's random word where all passed."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)
    job = receive(0)
    tests, entry_point = job["tests"], job["entry_point"]
    player = Player(job["source"], job["programs"], entry_point)
    module = load("tests", job["setup"])
    names = vars(module)
    for name in {entry_point} - {""} if entry_point else free_names(tests).intersection(player.names):
        names[name] = player.function(name)
    names.update(job["values"])
    try:
        _Text(tests).exec_module(module)
        if entry_point:
            names["check"](names[entry_point])
    except CannotHandOver as error:
        print("\n" + json.dumps({"cannot_tell": str(error)}))
        return
    print("\n" + json.dumps({"word": receive(0)}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["player"]:
        play()
    else:
        judge()
