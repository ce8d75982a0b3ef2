"""A teacher and a judge on the loopback that do as they are told: replies by task, over `fake_endpoint`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from fake_endpoint import Handler, completion, say

Writes = Callable[[str, str], Any]


def task_of(body: dict[str, Any]) -> str:
    """The task of a request, told by the fields of the reply that its system text asks for."""
    form = body["messages"][0]["content"].rpartition("Form: ")[2]
    for name, field in (("questions", '"questions"'), ("paraphrases", '"paraphrases"'), ("harder", '"question"'), ("judge", '"mark"')):
        if field in form:
            return name
    return "answers"


def framed(asked: str) -> str:
    """What stands in the last frame of a request."""
    mark = asked.rpartition("END ")[2].partition("\n")[0]
    return asked.rpartition(f"BEGIN {mark}\n")[2].rpartition(f"\nEND {mark}")[0]


def default(task: str, asked: str) -> Any:
    """A sound reply that depends on what was asked alone."""
    short = hashlib.sha256(asked.encode()).hexdigest()[:6]
    return {
        "questions": {"questions": [f"What does part {short} of the project do?"]},
        "answers": {"answer": f"It returns the value {short} and raises no error."},
        "paraphrases": {"paraphrases": [f"Kindly tell me: {framed(asked)}"]},
        "harder": {"question": f"What follows for part {short} where its input is empty?"},
        "judge": {"reason": "fine", "mark": 0.9},
    }[task]


def teaching(writes: Writes = default, usage: tuple[int, int] = (100, 20)) -> Callable[[Handler, dict[str, Any], int], None]:
    """An answer for `serve`: `writes(task, text of the last message)` gives the reply, as an object or as raw text."""

    def answer(handler: Handler, body: dict[str, Any], number: int) -> None:
        said = writes(task_of(body), body["messages"][-1]["content"])
        reply = json.loads(completion(said if isinstance(said, str) else json.dumps(said)))
        reply["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
        say(handler, 200, json.dumps(reply).encode())

    return answer
