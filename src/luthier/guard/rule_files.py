"""Files of rules: what they hold, and the line of each rule and key in them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.config.yaml_file import Document, read, read_text
from luthier.core.errors import ConfigError, Problem

_TOML_RULE = re.compile(r"[ \t]*\[\[[ \t]*(?:rule|\"rule\"|'rule')[ \t]*\]\]")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")

# The line of a key of the rule with a number, counted from 0; of the rule where it has no such key; 0 where nobody knows.
Lines = Callable[[int, str], int]


def read_rules(
    path: Path, unknown_key: Callable[[str, Sequence[str], str], Problem]
) -> tuple[list[Mapping[str, Any]], Lines, list[Problem]]:
    """The rules of a TOML file (`[[rule]]`) or of a YAML file (`rule:` with a list), the lines of their keys, and what is wrong."""
    try:
        value, lines, top = _toml(path) if path.suffix == ".toml" else _yaml(read(path))
    except ConfigError as error:
        return [], _no_line, list(error.problems)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        where = placed(path, _line_of(error, path))
        return [], _no_line, [Problem(f"the file cannot be read: {error}", where=where, hint="check that it is TOML in UTF-8")]
    problems = [unknown_key(str(key), ("rule",), placed(path, top(str(key)))) for key in value if key != "rule"]
    rules = value.get("rule")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        hint = "write `[[rule]]` in TOML, `rule:` and a list in YAML"
        problems.append(Problem("the file has no list of rules", where=placed(path, top("rule")), hint=hint))
        return [], _no_line, problems
    return rules, lines, problems


def _line_of(error: Exception, path: Path) -> int:
    """The line that `tomllib` names in its message, the last one for the end of the document."""
    if (at := _TOML_LINE.search(str(error))) is not None:
        return int(at[1])
    return len(read_text(path).splitlines()) if "at end of document" in str(error) else 0


def placed(path: Path, line: int) -> str:
    """A place in a file as a person is told it; `line` 0 where nobody knows."""
    return f"{path}:{line}" if line else str(path)


def _no_line(_number: int, _key: str) -> int:
    return 0


def _yaml(document: Document) -> tuple[dict[str, Any], Lines, Callable[[str], int]]:
    if document.problems:
        raise ConfigError(document.problems)

    def line(number: int, key: str) -> int:
        return document.place(("rule", number, key) if key else ("rule", number)).line

    return document.value, line, lambda key: document.places[(key,)].line if (key,) in document.places else 0


def _toml(path: Path) -> tuple[dict[str, Any], Lines, Callable[[str], int]]:
    """As `tomllib` tells no lines, they are looked for: the headers `[[rule]]`, where there are as many as rules, and keys behind them."""
    text = read_text(path)
    value = tomllib.loads(text)
    written = text.splitlines()
    headers = [number for number, line in enumerate(written, 1) if _TOML_RULE.match(line)]
    rules = value.get("rule")
    count = len(rules) if isinstance(rules, list) else 0

    def line(number: int, key: str) -> int:
        if len(headers) != count:
            return 0  # Rules written otherwise, or a header inside a text.
        end = headers[number + 1] - 1 if number + 1 < count else len(written)
        return _key_line(written, key, headers[number], end) or headers[number]

    return value, line, lambda key: _key_line(written, key, 0, len(written))


def _key_line(written: list[str], key: str, start: int, end: int) -> int:
    """The line, counted from 1, on which `key` is set or opens a table among lines `start` to `end`; 0 where it is not found."""
    if not key:
        return 0
    setting = re.compile(rf"[ \t]*(?:\[+[ \t]*)?[\"']?{re.escape(key)}[\"']?[ \t]*[=\].]")
    return next((number for number in range(start + 1, end + 1) if setting.match(written[number - 1])), 0)
