"""Methods, formats and slices of Python's constants, worked out within bounds; nothing raises."""

from __future__ import annotations

import re

from luthier.guard.risk.inline.decode import decoded, is_codec
from luthier.guard.risk.inline.texts import MAX_TEXT, Value, is_constant, is_open, keep, keep_bytes, taint, text_of
from luthier.guard.values.symbols import UNKNOWN

# Methods without an effect whose result on constants is constant and no longer than its input.
_PLAIN = frozenset(
    [
        "upper",
        "lower",
        "strip",
        "lstrip",
        "rstrip",
        "swapcase",
        "title",
        "capitalize",
        "casefold",
        "removeprefix",
        "removesuffix",
        "split",
        "rsplit",
        "splitlines",
        "partition",
        "rpartition",
        "startswith",
        "endswith",
        "isdigit",
        "isalpha",
        "find",
        "index",
        "count",
        "hex",
    ]
)
_PERCENT = re.compile(r"%(?:\((\w*)\))?[-+ #0]{0,5}[0-9]{0,3}(?:\.[0-9]{0,3})?([a-zA-Z%])")
_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_]*)([^{}]{0,80})\}")
_REFUSALS = (TypeError, ValueError, LookupError, OverflowError, AttributeError)


def method(receiver: str | bytes, name: str, arguments: list[Value]) -> Value:
    """The result of a method of a text or of bytes; what is not constant stays unknown with its origin."""
    if name in ("decode", "encode"):
        return _encoding(receiver, name, arguments)
    if name == "join":
        return _join(receiver, arguments)
    if name == "replace" and len(arguments) >= 2:
        return _replace(receiver, arguments)
    if name == "translate" and isinstance(receiver, str) and arguments and isinstance(arguments[0], dict):
        return _translate(receiver, arguments[0])
    if name in _PLAIN and all(isinstance(argument, str | bytes | int) for argument in arguments):
        return _plain(receiver, name, arguments)
    return taint((receiver, *arguments))


def _plain(receiver: str | bytes, name: str, arguments: list[Value]) -> Value:
    if isinstance(receiver, str) and is_open(receiver) and name not in ("strip", "rstrip", "lstrip", "lower", "decode"):
        return taint((receiver,))
    try:
        result = getattr(receiver, name)(*(str(a) if isinstance(a, str) else a for a in arguments))
    except _REFUSALS:
        return taint((receiver, *arguments))
    return _kept(result, receiver)


def _kept(result: Value, source: Value) -> Value:
    if isinstance(result, str):
        return keep(result, source)
    if isinstance(result, bytes):
        return keep_bytes(result, source)
    if isinstance(result, list | tuple):
        return tuple(_kept(item, source) for item in result[:5000])
    return result


def _encoding(receiver: str | bytes, name: str, arguments: list[Value]) -> Value:
    codec = arguments[0] if arguments else "utf-8"
    if isinstance(codec, str) and is_codec(codec):
        return decoded(codec, receiver, as_text=codec.lower().startswith(("rot", "unicode")))
    if name == "encode" and isinstance(receiver, str):
        return receiver if not is_constant(receiver) else keep_bytes(receiver.encode("utf-8", "replace"), receiver)
    if isinstance(codec, str) and isinstance(receiver, bytes):
        try:
            return keep(receiver.decode(str(codec), "replace"), receiver)
        except (LookupError, ValueError, TypeError):
            return taint((receiver,))
    return receiver


def _join(separator: Value, arguments: list[Value]) -> Value:
    items = arguments[0] if arguments else ()
    if isinstance(items, str):
        items = tuple(items[:MAX_TEXT]) if is_constant(items) else (items,)
    if not isinstance(items, tuple) or len(items) > MAX_TEXT:
        return taint((separator, *arguments))
    if isinstance(separator, bytes):
        return keep_bytes(separator.join(item for item in items if isinstance(item, bytes)), separator, *items)
    between = text_of(separator)
    if len(between) * len(items) > MAX_TEXT:
        return taint((separator, *arguments))
    texts = [text_of(item) for item in items]
    return keep(between.join(texts), separator, *texts)


def _replace(receiver: str | bytes, arguments: list[Value]) -> Value:
    old, new = arguments[0], arguments[1]
    if isinstance(receiver, str) and isinstance(old, str) and isinstance(new, str) and old and not is_open(receiver):
        if receiver.count(old) * len(new) > MAX_TEXT:
            return taint((receiver, new))
        return keep(receiver.replace(str(old), str(new)), receiver, new)
    if isinstance(receiver, bytes) and isinstance(old, bytes) and isinstance(new, bytes) and len(receiver) * (len(new) + 1) < MAX_TEXT:
        return keep_bytes(receiver.replace(old, new), receiver, new)
    return taint((receiver, *arguments))


def _translate(receiver: str, mapping: dict[Value, Value]) -> Value:
    parts = []
    for letter in receiver[:MAX_TEXT]:
        new = mapping.get(ord(letter), letter)
        parts.append(chr(new) if isinstance(new, int) and 0 <= new < 0x110000 else "" if new is None else text_of(new)[:100])
    return keep("".join(parts), receiver)


def make_translation(arguments: list[Value]) -> Value:
    """`str.maketrans` of two or three constant texts or a table."""
    if len(arguments) >= 2 and all(isinstance(argument, str) for argument in arguments):
        table: dict[Value, Value] = {ord(a): ord(b) for a, b in zip(text_of(arguments[0]), text_of(arguments[1]), strict=False)}
        if len(arguments) > 2:
            table.update({ord(letter): None for letter in text_of(arguments[2])})
        return table
    if arguments and isinstance(arguments[0], dict):
        return {ord(key) if isinstance(key, str) and len(key) == 1 else key: value for key, value in arguments[0].items()}
    return UNKNOWN


def format_percent(template: Value, values: Value) -> Value:
    """`template % values`; a field that is not plain becomes any text."""
    if not isinstance(template, str):
        return taint((template, values))
    items = list(values) if isinstance(values, tuple) else [values]
    sources: list[Value] = [template]

    def fill(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        if match[1] is not None:
            value = values.get(match[1], UNKNOWN) if isinstance(values, dict) else UNKNOWN
        else:
            value = items.pop(0) if items else UNKNOWN
        if match[2] == "c" and isinstance(value, int) and 0 <= value < 0x110000:
            value = chr(value)
        sources.append(value)
        return text_of(value)[:MAX_TEXT] if match[2] in "csdir" else taint((value,))

    return _bounded(_PERCENT, fill, template, sources)


def format_braces(template: str, arguments: list[Value], options: dict[str, Value]) -> Value:
    """`template.format(...)`; a field with a conversion or a format is filled in where the text of its value is all it asks for."""
    counter = iter(range(len(arguments) + 1))
    sources: list[Value] = [template]

    def fill(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        name, rest = match[1], match[2]
        if name == "":
            position = next(counter, len(arguments))
            value = arguments[position] if position < len(arguments) else UNKNOWN
        elif name.isdigit() and len(name) < 5:
            value = arguments[int(name)] if int(name) < len(arguments) else UNKNOWN
        else:
            value = options.get(name, UNKNOWN)
        sources.append(value)
        if rest == ":c" and isinstance(value, int) and 0 <= value < 0x110000:
            return chr(value)
        return text_of(value) if rest in ("", "!s", ":s", ":d") else taint((value,))

    return _bounded(_FIELD, fill, template, sources)


def _bounded(pattern: re.Pattern[str], fill: object, template: str, sources: list[Value]) -> Value:
    """The template with its fields filled in, stopped once the result grows too long."""
    parts, position, size = [], 0, 0
    for match in pattern.finditer(template):
        parts += [template[position : match.start()], fill(match) if callable(fill) else ""]
        size += len(parts[-1])
        position = match.end()
        if size > MAX_TEXT:
            return taint(sources)
    return keep("".join(parts) + template[position:], *sources)


def subscript(value: Value, index: Value) -> Value:
    """`value[index]` of a constant text, list or table; `index` may be a slice."""
    if isinstance(value, dict):
        return value.get(index, taint(value.values())) if isinstance(index, str | bytes | int | float | None) else taint(value.values())
    if isinstance(value, str | bytes | tuple) and isinstance(index, int | slice):
        if isinstance(value, str) and is_open(value) and index != slice(None, None, None):
            return taint((value,))
        try:
            return _kept(value[index], value)
        except _REFUSALS:
            return taint((value,))
    return taint((value,))
