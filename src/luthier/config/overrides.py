"""Values of keys that are set beside a run file, as `--set key=value` says them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from luthier.config import names, yaml_file
from luthier.config.yaml_file import Document, KeyPath, Place
from luthier.core.errors import ConfigError, Problem

# Texts `key=value` with dotted keys, or dotted keys to their values.
Overrides = Sequence[str] | Mapping[str, Any]


def set_values(document: Document, overrides: Overrides) -> None:
    """Sets every key of `overrides` in `document`; `ConfigError` where there is nothing to set it in."""
    for name, value in named_values(overrides):
        _set(document, name, value)


def from_files(words: Sequence[str]) -> tuple[str, ...]:
    """The same words, with those of a file in the place of `@FILE`: a JSON list of `key=value`. `ConfigError` where it is none."""
    found: list[str] = []
    for word in words:
        found += _in_file(word[1:]) if word.startswith("@") else [word]
    return tuple(found)


def _in_file(name: str) -> list[str]:
    hint = 'it looks like `["lora_r=8", "evaluate.shots=2"]`'
    try:
        listed = json.loads(Path(name).read_bytes())
    except OSError as error:
        raise ConfigError(Problem(f"the file of values cannot be read: {error.strerror}", "--set", f"@{name}", hint=hint)) from error
    except ValueError as error:
        raise ConfigError(Problem("the file of values is no JSON", "--set", f"@{name}", hint=hint)) from error
    if not isinstance(listed, list) or not all(isinstance(word, str) and not word.startswith("@") for word in listed):
        raise ConfigError(Problem("the file of values is no list of `key=value`", "--set", f"@{name}", hint=hint))
    return listed


def named_values(overrides: Overrides) -> list[tuple[str, Any]]:
    """Dotted keys with their values, in the order in which they are set."""
    return list(overrides.items()) if isinstance(overrides, Mapping) else [_parsed(override) for override in overrides]


def _parsed(override: str) -> tuple[str, Any]:
    name, separator, text = override.partition("=")
    if not separator or not name.strip():
        raise ConfigError(Problem("`--set` takes key=value", where="--set", found=override, hint="for example --set learning_rate=1e-4"))
    try:
        return name.strip(), yaml_file.parse_value(text)
    except ConfigError as error:
        raise ConfigError([replace(problem, where="--set", found=override) for problem in error.problems]) from error


def _set(document: Document, name: str, value: Any) -> None:
    parts: KeyPath = tuple(int(part) if part.isdigit() else part for part in re.sub(r"\[(\d+)\]", r".\1", name).split("."))
    if isinstance(parts[0], int):
        raise ConfigError(Problem("a key is a word", where="--set", found=name, hint="for example --set learning_rate=1e-4"))
    if parts[0] == "extends":
        raise ConfigError(Problem("`extends` joins files before anything is set", where="--set", hint="write it in a run file"))
    names.forget_target(document, parts)
    holder: Any = document.value
    for depth, part in enumerate(parts[:-1]):
        if isinstance(holder, dict) and isinstance(part, str):
            if holder.get(part) is None:
                holder[part] = {}
            holder = holder[part]
        elif isinstance(holder, list) and isinstance(part, int) and part < len(holder):
            holder = holder[part]
        else:
            raise ConfigError(Problem(f"there is no `{names.dotted(parts[: depth + 1])}` to set something in", where="--set", found=name))
    last = parts[-1]
    fits = isinstance(last, str) if isinstance(holder, dict) else isinstance(holder, list) and isinstance(last, int) and last < len(holder)
    if not fits:
        raise ConfigError(Problem(f"`{names.dotted(parts[:-1])}` holds no `{last}`", where="--set", found=name))
    holder[last] = value
    for known in [known for known in document.places if known[: len(parts)] == parts]:
        del document.places[known]
    document.places[parts] = place = Place(f"--set {names.dotted(parts)}")
    for depth in range(1, len(parts)):
        document.places.setdefault(parts[:depth], place)
