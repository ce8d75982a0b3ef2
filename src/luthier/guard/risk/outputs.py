"""What well-known filters print for an input that is known: enough to see through names and code that are built at run time."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from luthier.guard.risk.amounts import TOO_MUCH, limit_of
from luthier.guard.risk.facts import Argument, Call
from luthier.guard.values.symbols import CLASS, CWD, DECODED, ENDLESS, LOCAL, NUMBER, STAR, SYMBOL, UNKNOWN, UNSETTLED, USER

_MOST_CHARACTERS = 1 << 16
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|0?([0-7]{1,3})|u([0-9a-fA-F]{1,4})|(.))", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_FORMAT = re.compile(r"%(?:%|[-+ #0]*\d*(?:\.\d+)?([a-zA-Z]))")
_CLASSES = {"[:lower:]": "abcdefghijklmnopqrstuvwxyz", "[:upper:]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "[:digit:]": "0123456789"}

Printer = Callable[[Call, list[Argument], str], str]


def unescaped(text: str) -> str:
    """`text` with the escapes of `echo -e` and `printf`."""

    def replace(found: re.Match[str]) -> str:
        code, octal, wide, letter = found.groups()
        if code or wide:
            value = chr(int(code or wide, 16))
            return "\ufffd" if "\ud800" <= value <= "\udfff" else value
        return chr(int(octal, 8) & 0xFF) if octal else _LETTERS.get(letter, "\\" + letter)

    return _ESCAPE.sub(replace, text) if "\\" in text else text


def _echo(call: Call, arguments: list[Argument], stdin: str) -> str:
    words = [argument.text for argument in arguments]
    escapes, newline = False, True
    while words and re.fullmatch(r"-[neE]+", words[0]):
        flags = words.pop(0)
        escapes, newline = escapes or "e" in flags, newline and "n" not in flags
    text = " ".join(words) + ("\n" if newline else "")
    return unescaped(text) if escapes else text


def _printf(call: Call, arguments: list[Argument], stdin: str) -> str:
    words = [argument.text for argument in arguments]
    if words[:1] == ["-v"]:
        words = words[2:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        return ""
    return formatted(words[0], words[1:])


def formatted(template: str, values: list[str]) -> str:
    """What bash's `printf` prints; the template is used again while values are left."""
    if UNSETTLED.search(template):
        return UNKNOWN
    template, printed = unescaped(template), ""
    while True:
        took = False

        def fill(found: re.Match[str]) -> str:
            nonlocal took
            if found[0] == "%%":
                return "%"
            took = True
            value = values.pop(0) if values else ""
            if found[1] == "b":
                return unescaped(value)
            if found[1] == "c":
                return value[:1]
            if found[1] in "xXo" and value.isdigit() and len(value) < 10:
                return format(int(value), found[1])
            return value

        printed += _FORMAT.sub(fill, template)
        if not values or not took or len(printed) > _MOST_CHARACTERS:
            return printed[:_MOST_CHARACTERS]


def _rev(call: Call, arguments: list[Argument], stdin: str) -> str:
    return "\n".join(line[::-1] for line in stdin.split("\n"))


def _set_of(text: str) -> str:
    for name, characters in _CLASSES.items():
        text = text.replace(name, characters)
    expand = re.compile(r"([^\\])-([^\\])")
    return expand.sub(lambda found: "".join(map(chr, range(ord(found[1]), min(ord(found[2]), ord(found[1]) + 300) + 1))), unescaped(text))


def _tr(call: Call, arguments: list[Argument], stdin: str) -> str:
    sets = [_set_of(operand.text.replace(STAR, "*")) for operand in call.operands]
    if not sets or call.has((("-c", None), ("-C", None), ("--complement", None))):
        return _flow(stdin)
    if call.has((("-d", None), ("--delete", None))):
        return stdin.translate({ord(character): None for character in sets[0]})
    if len(sets) < 2 or not sets[1]:
        return stdin
    target = sets[1].ljust(len(sets[0]), sets[1][-1])
    return stdin.translate({ord(one): other for one, other in zip(reversed(sets[0]), reversed(target[: len(sets[0])]), strict=True)})


def _decoder(decode: Callable[[bytes], bytes]) -> Printer:
    def printed(call: Call, arguments: list[Argument], stdin: str) -> str:
        if not call.has((("-d", None), ("--decode", None), ("-D", None), ("-r", None))):
            return _flow(stdin)
        if UNSETTLED.search(stdin):
            return _flow(stdin).replace(UNKNOWN, DECODED)
        try:
            return decode(re.sub(r"\s", "", stdin).encode("ascii")).decode("utf-8")
        except (ValueError, binascii.Error):
            return DECODED

    return printed


def _padded(decode: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda text: decode(text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 8))


def _hexadecimal(text: bytes) -> bytes:
    return binascii.unhexlify(text)


def _lines(call: Call, arguments: list[Argument], stdin: str) -> str:
    """Filters that keep some lines: at most what came in. A list of all names becomes a list of some."""
    limit = limit_of(call.name, call)
    passes = call.name in ("cat", "tee", "sponge", "pv") or (limit is not None and limit >= TOO_MUCH)
    kept = stdin if passes else stdin.replace(ENDLESS, UNKNOWN)
    return re.sub(f"(^|[/ \n]){STAR}(?=$|[ \n])", rf"\g<1>{CLASS}{STAR}", kept)


def _which(call: Call, arguments: list[Argument], stdin: str) -> str:
    return "\n".join(f"/usr/bin/{operand.text}" for operand in call.operands if re.fullmatch(r"[\w.+-]+", operand.text)) or UNKNOWN


def _number(call: Call, arguments: list[Argument], stdin: str) -> str:
    return NUMBER


def _constant(text: str) -> Printer:
    return lambda call, arguments, stdin: text


def _basename(call: Call, arguments: list[Argument], stdin: str) -> str:
    text = call.operands[0].text.rstrip("/") if call.operands else UNKNOWN
    name = text.rsplit("/", 1)[-1]
    return name.removesuffix(call.operands[1].text) if len(call.operands) > 1 else name


def _dirname(call: Call, arguments: list[Argument], stdin: str) -> str:
    text = call.operands[0].text.rstrip("/") if call.operands else UNKNOWN
    return text.rpartition("/")[0] or ("/" if text.startswith("/") else ".") if "/" in text else "."


def _realpath(call: Call, arguments: list[Argument], stdin: str) -> str:
    return call.operands[0].text if call.operands else UNKNOWN


def _mktemp(call: Call, arguments: list[Argument], stdin: str) -> str:
    return f"/tmp/tmp.{STAR}"


def _cut(call: Call, arguments: list[Argument], stdin: str) -> str:
    """`cut -c` and `cut -d -f` of one line, where the numbers are plain."""
    if UNSETTLED.search(stdin) or SYMBOL.search(stdin):
        return _flow(stdin)
    by_character = call.has((("-c", None), ("--characters", None), ("-b", None)))
    by_field = call.has((("-f", None), ("--fields", None)))
    chosen = by_character or by_field
    if chosen is None or chosen.value is None:
        return UNKNOWN
    delimiter = call.has((("-d", None), ("--delimiter", None)))
    separator = delimiter.value.text if delimiter and delimiter.value else "\t"
    if not separator:
        return UNKNOWN
    kept: list[str] = []
    for line in stdin.splitlines():
        pieces = list(line) if by_character else line.split(separator)
        places: list[int] = []
        for item in chosen.value.text.split(","):
            found = re.fullmatch(r"(\d{0,4})(-?)(\d{0,4})", item)
            if found is None:
                return UNKNOWN
            first = int(found[1] or 1)
            last = int(found[3] or len(pieces)) if found[2] else first
            places += range(first, min(last, len(pieces)) + 1)
        kept.append(("" if by_character else separator).join(pieces[place - 1] for place in places if 0 < place <= len(pieces)))
    return "\n".join(kept) + "\n"


def _flow(stdin: str) -> str:
    """What is left of a flow that a filter changed: where it came from."""
    found = dict.fromkeys(UNSETTLED.findall(stdin.replace(LOCAL, UNKNOWN)))
    return "".join(found) if found else UNKNOWN


PRINTERS: dict[str, Printer] = {
    "echo": _echo,
    "printf": _printf,
    "rev": _rev,
    "tr": _tr,
    "cut": _cut,
    "base64": _decoder(_padded(base64.b64decode)),
    "base32": _decoder(_padded(base64.b32decode)),
    "xxd": _decoder(_hexadecimal),
    "which": _which,
    "basename": _basename,
    "dirname": _dirname,
    "realpath": _realpath,
    "readlink": _realpath,
    "mktemp": _mktemp,
    "seq": _number,
    "date": _number,
    "nproc": _number,
    "id": _number,
    "uname": _constant(USER),
    "whoami": _constant(USER),
    "hostname": _constant(USER),
    "pwd": _constant(CWD),
    "arch": _constant(USER),
    "wc": _number,
    "yes": _constant(ENDLESS),
    "ps": _constant(STAR),
    **dict.fromkeys(
        (
            "grep",
            "egrep",
            "fgrep",
            "rg",
            "head",
            "tail",
            "sort",
            "uniq",
            "shuf",
            "fzf",
            "tac",
            "sponge",
            "pv",
            "cat",
            "tee",
            "less",
            "more",
            "column",
            "nl",
        ),
        _lines,
    ),
}


def printed(name: str, call: Call, arguments: list[Argument], stdin: str) -> str | None:
    """What the program prints, where it is one that this module can compute; else None."""
    printer = PRINTERS.get(name)
    return None if printer is None else printer(call, arguments, stdin)


def changed_flow(stdin: str) -> str:
    """What a filter that changes its input lets through: no text, but where it came from."""
    return _flow(stdin)
