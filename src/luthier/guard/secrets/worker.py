"""The child process of `child.py`: `python -m luthier.guard.secrets.worker NAME DESCRIPTOR`. Texts come in and spans go out as JSON.

A text on which the scanner raises ends the child, and with it the answer: the parent then counts that text as a secret.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from luthier.core.optional import load

# Characters `start` to `end`, and the rule.
Span = tuple[int, int, str]

# Rules that name no secret: identifiers, domains, and values that are public by their purpose.
_PUBLIC_RULES = frozenset(("UUID", "Nonce", "Salt", "Firebase Domain", "AWS S3 Bucket", "Product Activation Key"))


def credsweeper() -> Callable[[Sequence[str]], list[list[Span]]]:
    """Credsweeper with its rules, its filters and its model."""
    package = load("credsweeper.app", "credsweeper")
    provider = load("credsweeper.file_handler.string_content_provider", "credsweeper").StringContentProvider
    sweeper = package.CredSweeper()

    def scan(texts: Sequence[str]) -> list[list[Span]]:
        split = [text.split("\n") for text in texts]
        manager = sweeper.credential_manager
        manager.set_credentials([])
        sweeper.scan([provider(lines, file_path=str(index)) for index, lines in enumerate(split)], None)
        sweeper.post_processing(None)
        found: list[list[Span]] = [[] for _ in texts]
        for candidate in manager.get_credentials():
            if candidate.rule_name in _PUBLIC_RULES:
                continue
            for place in candidate.line_data_list:
                index = int(place.path)
                found[index].append(_credsweeper_span(split[index], place, candidate.rule_name))
        return found

    return scan


def _credsweeper_span(lines: Sequence[str], place: Any, rule: str) -> Span:
    """The value's place, or the whole line where what was reported does not stand there as it stands in the line."""
    line = lines[place.line_num - 1]
    start = sum(len(earlier) + 1 for earlier in lines[: place.line_num - 1])
    value = place.value or ""
    if value and place.value_start >= 0 and line[place.value_start : place.value_start + len(value)] == value:
        return start + place.value_start, start + place.value_start + len(value), rule
    if value and (position := line.find(value)) >= 0:
        return start + position, start + position + len(value), rule
    return start, start + max(len(line), 1), rule


def detect_secrets() -> Callable[[Sequence[str]], list[list[Span]]]:
    """The plugins of detect-secrets and its heuristics, called one by one: none that looks anything up, and no comment lets a line pass."""
    mapping = load("detect_secrets.core.plugins.util", "guard").get_mapping_from_secret_type_to_class()
    heuristic = load("detect_secrets.filters.heuristic", "guard")
    # A public IP address is no secret.
    plugins = [kind() for name, kind in sorted(mapping.items()) if kind.__name__ != "IPPublicDetector"]
    value_filters = [
        heuristic.is_sequential_string,
        heuristic.is_potential_uuid,
        heuristic.is_templated_secret,
        heuristic.is_prefixed_with_dollar_sign,
        heuristic.is_not_alphanumeric_string,
    ]

    def in_line(line: str) -> Iterator[Span]:
        for plugin in plugins:
            for secret in plugin.analyze_line(filename="text", line=line, line_number=1):
                value = secret.secret_value
                if not value or any(passes(value) for passes in value_filters) or heuristic.is_likely_id_string(value, line, plugin):
                    continue
                if heuristic.is_indirect_reference(line):
                    continue
                start = max(line.find(value), 0)
                yield start, start + len(value) if line.find(value) >= 0 else len(line), plugin.secret_type

    def scan(texts: Sequence[str]) -> list[list[Span]]:
        found: list[list[Span]] = []
        for text in texts:
            spans, start = [], 0
            for line in text.split("\n"):
                spans += [(start + first, start + last, rule) for first, last, rule in in_line(line)] if line.strip() else []
                start += len(line) + 1
            found.append(spans)
        return found

    return scan


_SCANNERS = {"credsweeper": credsweeper, "detect-secrets": detect_secrets}


def main() -> None:
    """Answers until the parent closes its end."""
    logging.disable(logging.CRITICAL)
    pipe = Connection(int(sys.argv[2]))
    scan = _SCANNERS[sys.argv[1]]()
    # What it says from here on may be of the texts.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    pipe.send_bytes(b'"ready"')
    while True:
        try:
            texts = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        pipe.send_bytes(json.dumps(scan(texts)).encode())


if __name__ == "__main__":
    main()
