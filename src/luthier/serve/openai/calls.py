"""Tool calls in an answer's text: `<tool_call>{"name", "arguments"}</tool_call>`, as ChatML models write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

OPEN, CLOSE = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class Called:
    """One call; `arguments` is a JSON object as text, as OpenAI's API gives it."""

    name: str
    arguments: str


class CallReader:
    """Takes an answer's text as it comes, and tells words from calls. What may be the beginning of a call is held back."""

    def __init__(self) -> None:
        self._held = ""
        # Behind a call comes a line break, which is part of no words.
        self._is_behind_a_call = False

    def take(self, text: str) -> Iterator[str | Called]:
        """The words and calls that are sure now."""
        self._held += text
        while True:
            if self._is_behind_a_call:
                self._held = self._held.lstrip("\n")
                self._is_behind_a_call = not self._held
            start = self._held.find(OPEN)
            if start < 0:
                sure = len(self._held) - _beginning(self._held)
                if sure:
                    yield self._held[:sure]
                self._held = self._held[sure:]
                return
            end = self._held.find(CLOSE, start)
            if end < 0:
                if start:
                    yield self._held[:start]
                    self._held = self._held[start:]
                return
            if start:
                yield self._held[:start]
            written = self._held[start + len(OPEN) : end]
            self._held = self._held[end + len(CLOSE) :]
            call = _call(written)
            self._is_behind_a_call = call is not None
            # What is no call stays the words that it is.
            yield call or f"{OPEN}{written}{CLOSE}"

    def end(self) -> Iterator[str | Called]:
        """What is left when the answer has ended; a call without its end is one where its JSON is whole."""
        held, self._held = self._held, ""
        if held.startswith(OPEN) and (call := _call(held[len(OPEN) :])):
            yield call
        elif held:
            yield held


def _call(written: str) -> Called | None:
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if not isinstance(arguments, dict):
        return None
    return Called(value["name"], json.dumps(arguments, ensure_ascii=False))


def _beginning(text: str) -> int:
    """How many characters at the end of `text` may begin a call."""
    return next((size for size in range(min(len(OPEN) - 1, len(text)), 0, -1) if text.endswith(OPEN[:size])), 0)
