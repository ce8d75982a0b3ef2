"""Tasks: a repository's own fixed questions, each with checks that its answer must pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from luthier.config.yaml_file import KeyPath
from luthier.core.errors import Problem
from luthier.core.nearness import nearest
from luthier.core.protocols import Sandbox
from luthier.core.records import JsonObject, JsonValue, Message
from luthier.core.text import is_unicode
from luthier.evaluate.instruments.extract import markdown_command, plain
from luthier.evaluate.kinds.checks.asking import judge_request, read_reply
from luthier.evaluate.kinds.checks.bounded import Bounded
from luthier.evaluate.kinds.checks.check import Check, Held
from luthier.evaluate.kinds.checks.reading import Mistake, read_checks
from luthier.evaluate.kinds.checks.structure import NoJson, calls_in, json_in, same_calls
from luthier.evaluate.kinds.fields import identity, shortened
from luthier.evaluate.kinds.kind import Bench, Judged
from luthier.evaluate.kinds.programs.run import Tests, run_tests
from luthier.evaluate.kinds.python_code import whole_programs
from luthier.evaluate.rows.suite import Suite, SuiteRow
from luthier.guard.shell import normalized

KEYS = ("id", "prompt", "messages", "system", "tools", "group", "checks")
EXPECTED = '{"prompt": TEXT or "messages": [...], "checks": [{"contains": TEXT}, ...], "id"?, "system"?, "tools"?, "group"?}'
SECONDS = 10.0
_ROLES = ("system", "user", "assistant", "tool")


class Tasks:
    """`pass_rate`: the share of tasks all of whose checks hold. Each check stands in the details."""

    name = "tasks"
    metrics = ("pass_rate",)
    fields: tuple[str, ...] = ()
    row_keys = KEYS

    def problems(self, value: JsonValue, place: Callable[[KeyPath], str]) -> list[Problem]:
        """Everything that is wrong with a task, each at `place` of the path of its key within the task."""
        _, mistakes = _read(value)
        return [
            Problem(p.what, f"{place(path)} ({key})" if (key := _dotted(path)) else place(path), p.found, p.expected, p.hint)
            for path, p in mistakes
        ]

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """A task as something to ask. `expected` are the texts or commands that it must equal, where it names any."""
        checks, mistakes = _read(value)
        if mistakes:
            path, first = mistakes[0]
            more = "; ".join(f"{_dotted(inner) or 'task'}: {problem.what}" for inner, problem in mistakes[1:4])
            more += f"; and {len(mistakes) - 4} more" if len(mistakes) > 4 else ""
            hint = "\n  ".join(part for part in (first.hint, f"also {more}" if more else "") if part)
            return Problem(first.what, f"{where}, {key}" if (key := _dotted(path)) else where, first.found, first.expected, hint)
        messages = _messages(value)
        asked = json.dumps([message.to_json() for message in messages], ensure_ascii=True)
        row_id, group = identity(value, asked)
        expected = [text for check in checks if check.kind in ("equals", "command") and not check.negated for text in _list(check.value)]
        check: JsonObject = {"checks": [check.to_json() for check in checks]}
        return SuiteRow(row_id, messages, tuple(expected), tuple(value.get("tools") or ()), group=group, check=check)

    def extract(self, text: str, with_parser: bool) -> str:
        """The whole answer, or the command in its Markdown: what `equals` and `command` are held against. Other checks see the answer."""
        return markdown_command(text) if with_parser else plain(text)

    def judge(self, suite: Suite, answers: Sequence[Sequence[str]], with_parser: bool, bench: Bench) -> list[Judged]:
        """Whether each row's first answer passes. A row leaves the denominator where the judge model says nothing that can be read, and
        where another check that cannot be told alone would decide."""
        texts = [samples[0] if samples else "" for samples in answers]
        extracted = [self.extract(text, with_parser) for text in texts]
        rows = [[Check.from_json(check) for check in row.check["checks"]] for row in suite.rows]
        replies = _ask_judge(suite.rows, texts, rows, bench)
        tested = _run_unit_tests(texts, rows, bench)
        judged = []
        with Bounded() as bounded:
            for index, checks in enumerate(rows):
                held = []
                for number, check in enumerate(checks):
                    key = (index, number)
                    told = replies.get(key) or tested.get(key) or _hold(check, texts[index], extracted[index], bounded)
                    held.append(told.under(check))
                judged.append(_judged(extracted[index], checks, held))
        return judged


def _read(value: JsonValue) -> tuple[list[Check], list[Mistake]]:
    """The checks of a task, and every mistake in it by the path of its key."""
    if not isinstance(value, dict):
        return [], [((), Problem("a task must be a mapping", found=type(value).__name__, expected=EXPECTED))]
    mistakes: list[Mistake] = [((name,), _unknown(name)) for name in value if name not in KEYS]
    for name in ("id", "group", "system", "prompt"):
        given = value.get(name, "")
        if not isinstance(given, str) or (name in ("system", "prompt") and name in value and not given.strip()):
            mistakes.append(((name,), Problem(f"`{name}` must be a text", found=f"{given!r:.80}", hint="put it in quotes")))
    if ("prompt" in value) == ("messages" in value):
        mistakes.append(
            ((), Problem("a task has either `prompt` or `messages`", found=", ".join(map(str, value))[:120], expected=EXPECTED))
        )
    if "messages" in value:
        mistakes += _message_mistakes(value)
    tools = value.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        mistakes.append((("tools",), Problem("`tools` must be a list of mappings", found=f"{tools!r:.80}")))
    if not _is_json(value):
        mistakes.append(((), Problem("the task holds half a character (a lone surrogate), or what JSON cannot hold")))
    checks, found = read_checks(value.get("checks"), ("checks",))
    return checks, mistakes + found


def _message_mistakes(value: JsonObject) -> list[Mistake]:
    messages = value["messages"]
    if not isinstance(messages, list) or not messages:
        return [(("messages",), Problem("`messages` must be a list with at least one message", found=f"{messages!r:.80}"))]
    mistakes: list[Mistake] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES or not isinstance(message.get("content"), str):
            what = "a message has a `role` (system, user, assistant, tool) and a `content`"
            mistakes.append((("messages", index), Problem(what, found=f"{message!r:.80}")))
            continue
        try:
            Message.from_json(message)
        except (KeyError, TypeError, ValueError, AttributeError):
            mistakes.append((("messages", index), Problem("a tool call has a name and an object of arguments", found=f"{message!r:.80}")))
    if not mistakes and messages[-1]["role"] not in ("user", "tool"):
        mistakes.append((("messages",), Problem("the last message must be one to answer", found=messages[-1]["role"])))
    if "system" in value:
        mistakes.append((("system",), Problem("`system` goes with `prompt`; write it as a message", found=f"{value['system']!r:.80}")))
    return mistakes


def _messages(value: JsonObject) -> tuple[Message, ...]:
    if "messages" in value:
        return tuple(Message.from_json(message) for message in value["messages"])
    system = (Message("system", value["system"]),) if "system" in value else ()
    return (*system, Message("user", value["prompt"]))


def _ask_judge(
    rows: Sequence[SuiteRow], texts: Sequence[str], checks: Sequence[Sequence[Check]], bench: Bench
) -> dict[tuple[int, int], Held]:
    """What the judge model says of each answer that it is asked about, all asked at once."""
    asked = {
        (index, number): judge_request(f"{row.id}#{number}", row.request, texts[index], check.value)
        for index, row in enumerate(rows)
        for number, check in enumerate(checks[index])
        if check.kind == "judge"
    }
    replies = bench.ask_judge(list(asked.values())) if asked else {}
    return {key: read_reply(replies.get(request.id)) for key, request in asked.items()}


def _run_unit_tests(texts: Sequence[str], rows: Sequence[Sequence[Check]], bench: Bench) -> dict[tuple[int, int], Held]:
    """What the unit tests say, run beside each other; no sandbox is opened where there are none."""
    jobs = [(index, number) for index, checks in enumerate(rows) for number, check in enumerate(checks) if check.kind == "unit_tests"]
    if not jobs:
        return {}
    sandbox = bench.sandbox()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        held = pool.map(lambda job: _unit_test(rows[job[0]][job[1]], texts[job[0]], sandbox), jobs)
        return dict(zip(jobs, held, strict=True))


def _unit_test(check: Check, text: str, sandbox: Sandbox) -> Held:
    seconds = float(check.options.get("seconds", SECONDS))
    tested = run_tests(whole_programs(text), Tests(check.value, values={"answer": text}), sandbox, seconds)
    return Held(None if tested.cannot_tell else tested.passed, tested.reason)


def _hold(check: Check, text: str, extracted: str, bounded: Bounded) -> Held:
    """What a check that needs neither a judge nor the sandbox says of an answer."""
    ignore_case = bool(check.options.get("ignore_case", False))
    if check.kind == "pattern":
        return bounded.search(check.value, text, ignore_case)
    if check.kind == "json_schema":
        try:
            return bounded.validate(check.value, json_in(text))
        except NoJson as error:
            return Held(False, str(error))
    if check.kind == "tool_call":
        calls = calls_in(text)
        return _held(
            same_calls(calls, _list(check.value)),
            f"the answer calls {shortened(json.dumps(calls))}" if calls else "the answer calls no tool",
        )
    if check.kind == "command":
        return _held(normalized(extracted) in {normalized(command) for command in _list(check.value)}, "the command is another")
    if check.kind == "equals":
        return _held(
            _folded(extracted, ignore_case) in {_folded(wanted.strip(), ignore_case) for wanted in _list(check.value)},
            "the answer is another",
        )
    missing = [wanted for wanted in _list(check.value) if _folded(wanted, ignore_case) not in _folded(text, ignore_case)]
    return _held(not missing, f"missing: {shortened(', '.join(missing), 200)}")


def _judged(extracted: str, checks: Sequence[Check], held: Sequence[Held]) -> Judged:
    shown: list[JsonValue] = [
        {"name": check.name or f"{'not ' if check.negated else ''}{check.kind}", "holds": one.holds, "reason": shortened(one.reason, 300)}
        for check, one in zip(checks, held, strict=True)
    ]
    details: JsonObject = {"checks": shown}
    # A judge that is silent is no fault of the answer's: were the rows counted that fail another check, and they alone, the rate would be
    # nought for a judge that is down.
    pairs = zip(checks, held, strict=True)
    if unheard := next((one.reason for check, one in pairs if check.kind == "judge" and one.holds is None), ""):
        return Judged(extracted, {}, {"pass_rate": f"not judged: {unheard}"}, details)
    # Of all other checks one that fails decides, whatever the others would say.
    if any(one.holds is False for one in held):
        return Judged(extracted, {"pass_rate": 0.0}, details=details)
    untold = next((one.reason for one in held if one.holds is None), None)
    if untold is not None:
        return Judged(extracted, {}, {"pass_rate": untold}, details)
    return Judged(extracted, {"pass_rate": 1.0}, details=details)


def _held(holds: bool, reason: str) -> Held:
    return Held(holds, "" if holds else reason)


def _folded(text: str, ignore_case: bool) -> str:
    return text.casefold() if ignore_case else text


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [value]


def _dotted(path: KeyPath) -> str:
    """`checks[1].pattern` for a path of keys."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _unknown(name: object) -> Problem:
    best = nearest(str(name), KEYS)
    return Problem(f"unknown key `{name}` in a task", hint=f"did you mean `{best}`?" if best else f"known: {', '.join(KEYS)}")


def _is_json(value: JsonValue) -> bool:
    try:
        return is_unicode(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return False
