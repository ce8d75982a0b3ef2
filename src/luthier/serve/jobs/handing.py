"""How the command of a job is handed to its process: values of keys in a file, for everybody on a machine sees its commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from luthier.core.files import write_bytes

_VALUES, _OWNERS_ALONE = "values.json", 0o600
_LUTHIER, _SET = ("-m", "luthier"), "--set"


def handed(command: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The command with all of its `--set KEY=VALUE` as one `--set @FILE`, which lies in the job's `folder`; `OSError` on a full disk."""
    if tuple(command[:2]) != _LUTHIER:
        return tuple(command)
    words, values = parted(command)
    if not values:
        return tuple(command)
    path = folder.absolute() / _VALUES
    write_bytes(path, json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass"), _OWNERS_ALONE)
    # Behind the verb and the run file, where `--set` may stand with every command.
    return (*words[:4], _SET, f"@{path}", *words[4:])


def parted(command: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a command without its `--set KEY=VALUE`, and the values of all of these, each in their order."""
    words, values = list[str](), list[str]()
    rest = iter(command)
    for word in rest:
        value = next(rest, None) if word == _SET else None
        if value is None:
            words.append(word)
        else:
            values.append(value)
    return tuple(words), tuple(values)
