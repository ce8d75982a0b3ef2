"""What known calls give back: the contents of files and variables, lists of files, text put together or decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from luthier.guard.risk.inline.decode import decoded
from luthier.guard.risk.inline.python_methods import format_percent
from luthier.guard.risk.inline.texts import (
    MAX_TEXT,
    DecodedText,
    Ref,
    Thing,
    Value,
    concat,
    element_of,
    expand_home,
    glob,
    is_constant,
    join_path,
    keep,
    taint,
    text_of,
    words_of,
)
from luthier.guard.values.symbols import CWD, DECODED, HOME, NETWORK, SECRET, STAR, TEMP, UNKNOWN, USER

RESULTS = {
    "network": NETWORK,
    "secret": SECRET,
    "decoded": DECODED,
    "home": HOME,
    "cwd": CWD,
    "temp": TEMP,
    "user": USER,
    "text": UNKNOWN,
}


@dataclass(slots=True)
class Invocation:
    """The values that a call is given."""

    arguments: list[Value]
    options: dict[str, Value] = field(default_factory=dict)
    receiver: Value = None

    def option(self, name: str) -> Value:
        """The option `name`, also from a table of options among the arguments; None where there is none."""
        if name in self.options:
            return self.options[name]
        for argument in self.arguments:
            if isinstance(argument, dict) and name in argument:
                found: Value = argument[name]
                return found
        return None


# Files whose contents are credentials: what is read from them and goes out is a leak. Paths as such are judged elsewhere.
_CREDENTIALS = re.compile(
    r"/\.ssh/|/\.aws/|/\.gnupg/|/\.netrc|/\.npmrc|/\.pypirc|/\.pgpass|/\.kube/|/\.docker/config|/\.git-credentials|/etc/g?shadow"
    r"|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|(?:^|/)\.env(?:\.|$)|/\.config/gcloud|/\.azure/|Login Data|[Cc]ookies|\.pem$|\.key$|/\.bash_history"
    r"|/\.vault-token|/proc/(?:self|[0-9]+)/environ|\.kdbx$"
)
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.I)
_FETCHES = re.compile(r"(?:^|[\s/|;])(?:curl|wget|nc)\b")


def contents(path: str) -> str:
    """What a file holds, as far as its path says."""
    return NETWORK if NETWORK in path or path.startswith(("http:", "https:", "ftp:")) else SECRET if _CREDENTIALS.search(path) else UNKNOWN


def variable(name: str) -> str:
    """What a variable of the environment holds, as far as its name says."""
    if name in ("HOME", "USERPROFILE"):
        return HOME
    if name in ("TMPDIR", "TEMP", "TMP"):
        return TEMP
    if name in ("USER", "LOGNAME", "HOSTNAME"):
        return USER
    return CWD if name == "PWD" else SECRET if _SECRET_NAME.search(name) or not is_constant(name) else UNKNOWN


def is_fetching(text: str) -> bool:
    """Whether a command's output comes from the network."""
    return _FETCHES.search(text[:2000]) is not None


def _first(given: Invocation) -> Value:
    return given.arguments[0] if given.arguments else given.receiver


def _ref(_given: Invocation, rest: tuple[str, ...]) -> Value:
    return Ref(rest[0])


def _module(given: Invocation, _rest: tuple[str, ...]) -> Value:
    name = text_of(_first(given))
    return Ref(name.removeprefix("node:").replace("/", ".")) if is_constant(name) else Thing("dynamic")


def _chr(given: Invocation, _rest: tuple[str, ...]) -> Value:
    items = [item for value in given.arguments for item in (value if isinstance(value, tuple) else (value,))]
    if items and all(isinstance(item, int) and 0 <= item < 0x110000 for item in items) and len(items) < MAX_TEXT:
        return "".join(chr(item) for item in items if isinstance(item, int))
    return taint(given.arguments)


def _reverse(given: Invocation, _rest: tuple[str, ...]) -> Value:
    value = _first(given)
    if isinstance(value, tuple):
        return value[::-1]
    text = text_of(value)
    return keep(text[::-1], text)


def _everything(given: Invocation, _rest: tuple[str, ...]) -> Value:
    whole: Value = ""
    for value in given.arguments:
        for word in words_of(value):
            whole = concat(whole, word)
    return whole


def _join(given: Invocation, rest: tuple[str, ...]) -> Value:
    """The items of a list with a separator between them, the separator first (Perl, PHP) or behind a list that is the receiver."""
    if rest and rest[0] == "self":
        items, separator = (
            words_of(given.receiver),
            text_of(given.arguments[0]) if given.arguments else ("," if rest[-1] == "comma" else ""),
        )
    else:
        separator, items = text_of(_first(given)), [word for value in given.arguments[1:] for word in words_of(value)]
    return keep(separator.join(items), separator, *items) if len(separator) < 1000 and len(items) < 5000 else UNKNOWN


def _listing(given: Invocation, _rest: tuple[str, ...]) -> Value:
    return (join_path((text_of(_first(given)), STAR)),)


def _opened(given: Invocation, _rest: tuple[str, ...]) -> Value:
    """What Ruby's `open` gives: a page, the output of a command, or a file."""
    path = text_of(_first(given))
    return NETWORK if path.startswith(("http:", "https:", "ftp:")) or is_fetching(path) else contents(path)


def _packed(template: str, values: tuple[Value, ...]) -> Value:
    """`pack` of Perl and Ruby for the templates that spell text: `H*`, `C*`, `c*`, `U*`, `A*`, `u`, `m`."""
    if template[:1] in ("H", "A", "a") and values and isinstance(values[0], str):
        return decoded("hex", values[0], as_text=True) if template[0] == "H" else values[0]
    if template[:1] in ("C", "c", "U", "W") and values and all(isinstance(value, int) and 0 <= value < 0x110000 for value in values):
        return DecodedText("".join(chr(value) for value in values if isinstance(value, int))[:MAX_TEXT])
    if template[:1] in ("N", "n") and len(values) == 1 and isinstance(values[0], int) and 0 <= values[0] < 1 << 32:
        return struct.pack(">I", values[0]).decode("latin-1")
    return DECODED if template[:1] in ("u", "m") else taint(values)


def _unpack(given: Invocation, _rest: tuple[str, ...]) -> Value:
    template = text_of(_first(given))
    codec = {"m": "base64", "H": "", "u": "uu"}.get(template[:1])
    return decoded(codec, given.receiver, as_text=True) if codec else DECODED


def _split(given: Invocation, _rest: tuple[str, ...]) -> Value:
    text, separator = text_of(given.receiver), text_of(given.arguments[0]) if given.arguments else " "
    if not is_constant(text) or not is_constant(separator):
        return taint((given.receiver,))
    return tuple(keep(part, given.receiver) for part in (text.split(separator) if separator else list(text))[:5000])


def _replaced(given: Invocation, _rest: tuple[str, ...]) -> Value:
    text = text_of(given.receiver)
    if len(given.arguments) < 2 or not all(isinstance(value, str) and is_constant(value) for value in (text, *given.arguments[:2])):
        return taint((text, *given.arguments))
    old, new = text_of(given.arguments[0]), text_of(given.arguments[1])
    return keep(text.replace(old, new), text) if old and text.count(old) * len(new) < MAX_TEXT else UNKNOWN


def _buffer(given: Invocation, _rest: tuple[str, ...]) -> Value:
    """`Buffer.from(text, encoding)`, and of a list of bytes."""
    value = _first(given)
    encoding = text_of(given.arguments[1]) if len(given.arguments) > 1 else "utf8"
    if encoding in ("base64", "base64url", "hex"):
        return decoded(encoding.removesuffix("url"), value, as_text=True)
    if isinstance(value, tuple):
        return _chr(Invocation([value]), ())
    return value


WORKERS: dict[str, Callable[[Invocation, tuple[str, ...]], Value]] = {
    "ref": _ref,
    "module": _module,
    "output": lambda given, _: NETWORK if _FETCHES.search(" ".join(words_of(tuple(given.arguments)))[:2000]) else UNKNOWN,
    "contents": lambda given, _: contents(text_of(_first(given))),
    "variable": lambda given, _: variable(text_of(_first(given))),
    "hex": lambda given, _: int(text_of(_first(given)), 16) if re.fullmatch(r"[0-9a-fA-F]{1,8}", text_of(_first(given))) else UNKNOWN,
    "opened": _opened,
    "process": lambda given, _: Thing("process", NETWORK if is_fetching(" ".join(words_of(tuple(given.arguments)))) else UNKNOWN),
    "items": lambda given, _: (element_of(given.receiver),),
    "format": lambda given, _: format_percent(text_of(_first(given)), tuple(given.arguments[1:])),
    "pack": lambda given, _: _packed(text_of(_first(given)), tuple(given.arguments[1:])),
    "pack_list": lambda given, _: _packed(text_of(_first(given)), given.receiver if isinstance(given.receiver, tuple) else ()),
    "unpack": _unpack,
    "chr_self": lambda given, _: chr(given.receiver) if isinstance(given.receiver, int) and 0 <= given.receiver < 0x110000 else UNKNOWN,
    "split": _split,
    "concat": lambda given, _: concat(given.receiver, _everything(given, ())),
    "replace": _replaced,
    "buffer": _buffer,
    "first": lambda given, _: _first(given),
    "self": lambda given, _: given.receiver,
    "none": lambda given, _: None,
    "list": lambda given, _: tuple(given.arguments),
    "chr": _chr,
    "reverse": _reverse,
    "everything": _everything,
    "join": _join,
    "listing": _listing,
    "names": lambda given, _: (STAR,),
    "glob": lambda given, _: (glob(_first(given)),),
    "expand": lambda given, _: expand_home(_first(given)),
    "join_path": lambda given, _: join_path(given.arguments),
    "lower": lambda given, _: text_of(_first(given)).lower(),
    "upper": lambda given, _: text_of(_first(given)).upper(),
    "strip": lambda given, _: keep(text_of(_first(given)).strip(), _first(given)),
}


def result(gives: tuple[str, ...], given: Invocation) -> Value:
    """The value of a call whose entry in the table gives `gives`; without it, whatever its arguments were made of."""
    values = [given.receiver, *given.arguments, *given.options.values()]
    if not gives:
        return taint(values)
    if gives[0] in RESULTS:
        return RESULTS[gives[0]]
    if gives[0].startswith("@"):
        return Thing(gives[0][1:], NETWORK if gives[0] == "@response" else taint(values))
    if gives[0] == "decode":
        return decoded(gives[1], _first(given), as_text=gives[-1] == "text")
    worker = WORKERS.get(gives[0])
    return worker(given, gives[1:]) if worker is not None else taint(values)
