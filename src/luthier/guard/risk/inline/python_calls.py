"""Calls in Python: what they do by the table, and those whose meaning hangs on more than their arguments."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from luthier.guard.risk.inline.calls import Table, perform, table
from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.python_methods import format_braces, method
from luthier.guard.risk.inline.results import Invocation, contents, is_fetching, variable
from luthier.guard.risk.inline.texts import (
    Ref,
    Thing,
    Value,
    is_constant,
    is_open,
    taint,
    text_of,
    words_of,
)
from luthier.guard.values.symbols import NETWORK, SECRET, UNKNOWN

_LOADERS = frozenset(
    [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "BASH_ENV",
        "ENV",
        "GIT_SSH_COMMAND",
        "NODE_OPTIONS",
        "PERL5OPT",
        "RUBYOPT",
        "DYLD_INSERT_LIBRARIES",
    ]
)
# Modules that others hold under their own name: `shutil.os` is `os`.
_REEXPORTED = frozenset(["os", "sys", "subprocess", "shutil", "builtins", "importlib"])
_TRICKS = frozenset(["__subclasses__", "__globals__", "__builtins__", "__code__", "__closure__", "__loader__"])
MAX_CALL_DEPTH = 4


@dataclass(eq=False, slots=True)
class Function:
    """A function of the code itself, and whether a call of it has been followed."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    followed: bool = False


Special = Callable[["Caller", Invocation], Value]


class Caller(ABC):
    """Follows calls; what evaluates expressions and statements builds on it.

    `special` are functions whose meaning hangs on more than their arguments, `thing_methods` methods of things, `KIND.name`.
    """

    special: Mapping[str, Special]
    thing_methods: Mapping[str, Special]

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.table: Table = table("python", "python")
        self.loops = 0
        self.nesting = 0
        self.start = 0
        self.end = 0

    def note(self, kind: str, *texts: str) -> None:
        """One effect of the call at hand."""
        self.findings.add(kind, texts, self.start, self.end)

    @abstractmethod
    def run_function(self, function: Function, given: Invocation) -> Value:
        """The result of a function of the code itself."""

    @abstractmethod
    def run_text(self, code: str, expression: bool) -> Value:
        """The result of constant code that is evaluated in the same names."""

    def call(self, function: Value, given: Invocation) -> Value:
        """What `function` does and gives with the values given to it."""
        if isinstance(function, Function):
            return self.run_function(function, given)
        if isinstance(function, Thing):
            if function.kind == "partial":
                return UNKNOWN
            if function.kind == "dynamic":
                self.note("dynamic")
            return taint((function, *given.arguments))
        if not isinstance(function, Ref):
            self.hand_over(given)
            return taint((function, *given.arguments, *given.options.values()))
        given.receiver = function.receiver
        name = function.name
        if name.startswith(("builtins.", "__builtin__.")):
            name = name.split(".", 1)[1]
        if function.receiver is not None:
            return self._method(name, given)
        return self._called(name, given)

    def _called(self, name: str, given: Invocation) -> Value:
        """What a function of a module or a builtin does."""
        special = self.special.get(name)
        if special is not None:
            return special(self, given)
        known = self.table.calls.get(name)
        if known is not None:
            return perform(known, given, self.findings, self.start, self.end)
        if name.endswith((".__getattribute__", ".__getattr__")):
            owner = [Ref(name.rpartition(".")[0])] if len(given.arguments) < 2 else []
            return self.special["getattr"](self, Invocation([*owner, *given.arguments]))
        self.hand_over(given)
        if name.rsplit(".", maxsplit=1)[-1] in _TRICKS:
            self.note("dynamic")
        return taint((*given.arguments, *given.options.values()))

    def keep_away(self, value: Value) -> None:
        """A function that is stored where it is not followed may be called with anything."""
        if isinstance(value, Ref) and value.receiver is None and (value.name in self.table.calls or value.name in self.special):
            self.hand_over(Invocation([value]))

    def hand_over(self, given: Invocation) -> None:
        """Functions given to another function are called by it, so far as anyone can tell with what stands behind them."""
        values = [*given.arguments, *given.options.values()]
        for position, value in enumerate(values):
            is_known = isinstance(value, Ref) and (value.name in self.table.calls or value.name in self.special) and value.receiver is None
            if not (is_known or isinstance(value, Function)) or self.nesting >= MAX_CALL_DEPTH:
                continue
            rest = [item for other in values[position + 1 :] for item in (other if isinstance(other, tuple) else (other,))]
            self.nesting += 1
            self.call(value, Invocation(rest or ([UNKNOWN] if is_known else [])))
            self.nesting -= 1

    def _method(self, name: str, given: Invocation) -> Value:
        receiver = given.receiver
        last = name.removeprefix("@.")
        if isinstance(receiver, Thing):
            special = self.thing_methods.get(f"{receiver.kind}.{last}")
            if special is not None:
                return special(self, given)
            known = self.table.calls.get(f"@{receiver.kind}.{last}")
            if known is not None:
                return perform(known, given, self.findings, self.start, self.end)
            self.hand_over(given)
            return (
                Thing(receiver.kind, receiver.text)
                if receiver.kind in ("session", "path", "partial")
                else taint((receiver, *given.arguments))
            )
        if last in ("format", "format_map") and isinstance(receiver, str):
            return format_braces(receiver, given.arguments, given.options)
        if isinstance(receiver, bytes) or (isinstance(receiver, str) and not _is_unknown_object(receiver, last)):
            return method(receiver, last, given.arguments)
        if isinstance(receiver, tuple | dict):
            return self._container(receiver, last, given)
        known = self.table.calls.get(f"@unknown.{last}")
        if known is not None:
            return perform(known, given, self.findings, self.start, self.end)
        self.hand_over(given)
        return taint((receiver, *given.arguments))

    def _container(self, receiver: tuple[Value, ...] | dict[Value, Value], name: str, given: Invocation) -> Value:
        if isinstance(receiver, dict):
            if name == "get" and given.arguments and isinstance(given.arguments[0], str | int):
                return receiver.get(given.arguments[0], given.arguments[1] if len(given.arguments) > 1 else None)
            if name in ("values", "keys", "items"):
                return tuple(receiver.values() if name == "values" else receiver if name == "keys" else receiver.items())
        elif name == "pop" and receiver:
            return receiver[-1]
        elif name in ("index", "count"):
            return UNKNOWN
        self.hand_over(given)
        return taint((receiver, *given.arguments))

    def attribute(self, base: Value, name: str) -> Value:
        """`base.name`."""
        if name == "__call__":
            return base
        if isinstance(base, Ref) and base.receiver is None:
            return self._member(base, name)
        if name in _TRICKS:
            self.note("dynamic")
            return Thing("dynamic")
        return self._part(base, name) if isinstance(base, Thing) else Ref("@." + name, base)

    def _member(self, module: Ref, name: str) -> Value:
        """A name inside a module or a class."""
        if name == "__dict__":
            return Thing("names", module.name)
        if name == "__self__":
            return Thing("names", "")
        if name in _REEXPORTED and "." not in module.name.removesuffix(".path"):
            return Ref(name)
        return self.name(f"{module.name}.{name}")

    def _part(self, thing: Thing, name: str) -> Value:
        if thing.kind == "path":
            return _path_part(thing, name)
        if thing.kind == "entry" and name in ("path", "name"):
            return thing.text if name == "path" else thing.text.rsplit("/", 1)[-1]
        if thing.kind == "names" and name not in ("get", "pop", "__getitem__"):
            return thing if name == "__dict__" else namespace(self, thing, name)
        return thing if thing.kind == "dynamic" else Ref("@." + name, thing)

    def name(self, full: str) -> Value:
        """What a dotted name of an imported module is: a constant of the table, or a reference."""
        plain = self.table.names.get(full)
        if plain is None:
            return Ref(full)
        if plain[0].startswith("="):
            return plain[0][1:] or " "
        if plain[0] == "@environ":
            return Thing("environ", SECRET)
        return Thing(plain[0][1:]) if plain[0].startswith("@") else UNKNOWN

    def environment(self, name: Value) -> Value:
        """A variable of the environment."""
        if isinstance(name, str) and is_constant(name):
            return variable(name)
        return SECRET

    def set_variable(self, name: Value) -> None:
        """A variable of the environment is set."""
        if isinstance(name, str) and name in _LOADERS:
            self.note("danger:tool-hijack", f"sets {name} for the programs it starts")

    def run(self, given: Invocation) -> Value:
        """`subprocess.run` and its kin."""
        command = given.arguments[0] if given.arguments else given.options.get("args", UNKNOWN)
        shell = given.options.get("shell")
        words = words_of(command)
        if shell not in (None, False) or (isinstance(command, str) and len(command.split()) > 1):
            self.note("shell", words[0] if words else UNKNOWN)
        elif words:
            self.note("argv", *words)
        environment = given.options.get("env")
        if isinstance(environment, dict):
            for key in environment:
                self.set_variable(key)
        sent = given.options.get("input")
        if words and sent is not None and words[0].rsplit("/", 1)[-1] in ("sh", "bash", "zsh", "dash") and len(words) == 1:
            self.note("shell", text_of(sent))
        return Thing("process", NETWORK if is_fetching(" ".join(words[:40])) else taint(words))

    def open(self, given: Invocation) -> Value:
        """`open` and `Path.open`: which file, and what for."""
        path = given.arguments[0] if given.arguments else given.options.get("file", UNKNOWN)
        mode = given.arguments[1] if len(given.arguments) > 1 else given.options.get("mode", "r")
        if isinstance(path, int):
            return Thing("file")
        text = text_of(path)
        wanted = mode if isinstance(mode, str) and is_constant(mode) else "w"
        if "a" in wanted:
            self.note("append", text)
        elif any(letter in wanted for letter in "wx+"):
            self.note("write", text)
        else:
            self.note("read", text)
            return Thing("file", contents(text))
        return Thing("file")


def _is_unknown_object(receiver: str, name: str) -> bool:
    """Whether a receiver of which nothing is known may well be no text."""
    return is_open(receiver) and len(receiver) <= 3 and name in _CAUTIOUS


_CAUTIOUS = frozenset(
    [
        "unlink",
        "rmdir",
        "rmtree",
        "remove_tree",
        "write_text",
        "write_bytes",
        "system",
        "popen",
        "check_output",
        "check_call",
        "exec_command",
        "Popen",
    ]
)


def _path_part(path: Thing, name: str) -> Value:
    if name == "parent":
        head = path.text.rstrip("/").rpartition("/")[0]
        return Thing("path", head or ("/" if path.text.startswith("/") else "."))
    if name in ("name", "stem", "suffix"):
        return path.text.rsplit("/", 1)[-1] if name == "name" else UNKNOWN
    return Ref("@." + name, path)


def namespace(caller: Caller, names: Value, key: Value) -> Value:
    """An entry of `globals()`, `vars(module)` or `module.__dict__`."""
    if isinstance(names, Thing) and isinstance(key, str) and is_constant(key):
        if key == "__builtins__":
            return Thing("names", "")
        return caller.name(f"{names.text}.{key}" if names.text else key)
    return Thing("dynamic")
