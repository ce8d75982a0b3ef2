"""Commands judged by what they do: gold and answer each run in a fresh copy of one tree, and what can be seen afterwards is compared.

Compared are the exit code, standard output, and the resulting tree: names, kinds, rights, contents, targets of links. Not compared are
standard error (its wording is the program's), times of files, owners (all belong to nobody), and files outside the tree. Output is compared
byte by byte but for line ends at its very end, which a terminal does not show. Where the gold's own lines come in another order once
the tree's names are made in another order, the order is no part of the task, and lines are compared as a multiset.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from luthier.core.protocols import Job, Limits, Outcome, Sandbox, TreeEntry, TreeNode
from luthier.core.records import JsonObject
from luthier.core.text import is_unicode
from luthier.guard.confinement.trees import prepare, reversed_names, tree_of
from luthier.guard.shell import command_name, parse, simple_commands

# Of each output, what a verdict shows.
SHOWN_CHARACTERS = 2000
SHOWN_DIFFERENCES = 20
# Golds run a second time after more than the second that most clocks print.
_BETWEEN_SECONDS = 1.1
# Outcomes are kept as long as the judge is.
_OUTPUT_BYTES = 1 << 18
# The longest argument that Linux takes: MAX_ARG_STRLEN, 32 pages.
_LONGEST_BYTES = 32 * 4096 - 1
# Programs that show what the machine is doing: two runs may agree by chance, and an answer a second later not.
_STATE_PROGRAMS = frozenset(("df", "free", "htop", "iostat", "lsof", "mpstat", "sar", "top", "uptime", "vmstat", "w"))
_MISSING_PROGRAM = re.compile(
    r"bash: line \d+: ([^\n:]+): command not found|(?:xargs|nice|env): [‘']?([^\n:’']+)[’']?: No such file or directory"
)
_NETWORK = re.compile(
    r"resolve host|name resolution|Network is unreachable|no servers could be reached|unknown host|Name or service not known"
)
_COMPLAINT = re.compile(
    r"No such file or directory|Permission denied|Operation not permitted|Read-only file system|cannot access|can't open"
)
# `file` says it on standard output.
_COMPLAINT_SHOWN = re.compile(r"cannot open [`'][^'\n]*' \(No such file or directory\)")


@dataclass(frozen=True, slots=True)
class ExecutionVerdict:
    """What running said of one answer: `match` is 1 or 0, or None where the task cannot be judged so, and then `left_out` says why.

    `left_out` is `CODE` or `CODE: detail`; the codes are `gold_fails`, `program_missing`, `needs_network`, `machine_state` (a program that
    shows what the machine is doing), `not_deterministic`, `order_of_names` (the result depends on the order in which a folder lists its
    names), `no_effect` (nothing happens that could be compared) and the sandbox's `timeout`, `memory`, `output`, `processes`, `files`
    and `killed`. `details` is for reports: exit codes, both outputs clipped to `SHOWN_CHARACTERS`, up to `SHOWN_DIFFERENCES`
    differences between the trees.
    """

    match: float | None
    left_out: str = ""
    details: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Gold:
    """A gold that ran. `ordered` is false where the order of its lines is no part of the task; `left_out` as in a verdict."""

    outcome: Outcome | None
    ordered: bool = True
    left_out: str = ""


class ExecutionJudge:
    """Judges commands in fresh copies of `tree` (a folder or a tar) at `mount`, started in `directory` (`mount` where empty).

    `seconds` is the wall time of one run. `files` are laid into the tree besides, by relative path. Golds run twice, once in a tree whose
    names were made in the opposite order. What each distinct gold and answer came to is kept as long as the judge is, and none of them runs
    again.
    Raises `DataError` where the tree cannot be laid.
    """

    def __init__(
        self, sandbox: Sandbox, tree: Path, mount: str, seconds: float, directory: str = "", files: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        extra = [TreeNode(path, "file", 0o644, 0, content) for path, content in files]
        prepared = prepare(tree)
        self._tree = tree_of([*prepared.nodes, *extra])
        self._other_tree = reversed_names(self._tree)
        self._sandbox = sandbox
        self._mount = mount
        self._directory = directory
        self._limits = Limits(seconds=seconds, cpu_seconds=max(1, int(seconds + 1)), output_bytes=_OUTPUT_BYTES)
        self._before: tuple[TreeEntry, ...] | None = None
        self._golds: dict[str, _Gold] = {}
        self._answers: dict[str, Outcome] = {}

    def judge(self, rows: Sequence[tuple[tuple[str, ...], str]]) -> list[ExecutionVerdict]:
        """A verdict for each (golds, answer), in order. The first gold is the standard; matching any gold that can be run is enough.

        A row is left out where its first gold cannot be judged by running. An answer with a gold's text matches without being run.
        """
        self._run_golds(gold for golds, _ in rows for gold in golds)
        wanted = [answer for golds, answer in rows if self._needs_run(golds, answer)]
        fresh = [answer for answer in dict.fromkeys(wanted) if answer not in self._answers]
        with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
            self._answers.update(zip(fresh, pool.map(self._run, fresh), strict=True))
        return [self._verdict(golds, answer) for golds, answer in rows]

    def _needs_run(self, golds: tuple[str, ...], answer: str) -> bool:
        first = self._golds[golds[0]]
        return not first.left_out and not _same_text(golds, answer) and not _no_command(answer)

    def _run(self, command: str) -> Outcome:
        return self._run_in(command, forward=True)

    def _run_in(self, command: str, forward: bool) -> Outcome:
        tree = self._tree if forward else self._other_tree
        argv = ("bash", "--noprofile", "--norc", "-c", command)
        return self._sandbox.run(Job(argv, tree=tree, mount=self._mount, directory=self._directory, limits=self._limits))

    def _run_golds(self, golds: Iterable[str]) -> None:
        fresh = [gold for gold in dict.fromkeys(golds) if gold not in self._golds]
        runnable = [gold for gold in fresh if not _no_command(gold)]
        self._golds.update({gold: _Gold(None, left_out=f"gold_fails: {_no_command(gold)}") for gold in fresh if gold not in runnable})
        if not runnable:
            return
        with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
            if self._before is None:
                self._before = self._run(":").tree
            first = list(pool.map(self._run, runnable))
            time.sleep(_BETWEEN_SECONDS)
            second = list(pool.map(lambda gold: self._run_in(gold, forward=False), runnable))
            found = list(pool.map(self._weigh, runnable, first, second))
        self._golds.update(zip(runnable, found, strict=True))

    def _weigh(self, gold: str, first: Outcome, second: Outcome) -> _Gold:
        """Whether a gold can be judged by running, from two runs in trees of opposite order; a third tells chance from order."""
        reason = _obstacle(first, self._before or ()) or _obstacle(second, self._before or ())
        if reason:
            return _Gold(first, left_out=reason)
        state = _state_program(gold)
        if state:
            return _Gold(first, left_out=f"machine_state: {state}")
        if _agrees(first, second, ordered=True):
            return _Gold(first)
        if _agrees(first, second, ordered=False):
            return _Gold(first, ordered=False)
        again = self._run(gold)
        return _Gold(first, left_out="order_of_names" if _agrees(first, again, ordered=True) else "not_deterministic")

    def _verdict(self, golds: tuple[str, ...], answer: str) -> ExecutionVerdict:
        standard = self._golds[golds[0]]
        shown = _shown(standard.outcome) if standard.outcome else None
        if standard.left_out:
            return ExecutionVerdict(None, standard.left_out, {"gold": shown})
        if _same_text(golds, answer):
            return ExecutionVerdict(1.0, details={"gold": shown, "same_text": True})
        if _no_command(answer):
            return ExecutionVerdict(0.0, details={"gold": shown, "answer": _no_command(answer)})
        outcome = self._answers[answer]
        usable = [gold for gold in (self._golds[text] for text in golds) if gold.outcome is not None and not gold.left_out]
        match = any(gold.outcome is not None and _agrees(gold.outcome, outcome, gold.ordered) for gold in usable)
        details: JsonObject = {
            "gold": shown,
            "answer": _shown(outcome),
            "order_of_lines_counts": standard.ordered,
            "tree": [*_differences(standard.outcome.tree if standard.outcome else (), outcome.tree)],
        }
        return ExecutionVerdict(float(match), details=details)


def _same_text(golds: tuple[str, ...], answer: str) -> bool:
    return answer.strip() in {gold.strip() for gold in golds}


def _no_command(text: str) -> str:
    """Why no shell can be given `text`, or nothing."""
    if not text.strip():
        return "empty"
    if "\0" in text:
        return "it holds a zero byte"
    if not is_unicode(text):
        return "it is no text"
    return "it is longer than an argument may be" if len(text.encode("utf-8")) > _LONGEST_BYTES else ""


def _state_program(command: str) -> str:
    script = parse(command)
    names = [command_name(simple) for simple in simple_commands(script)] if script is not None else []
    return next((name for name in names if name in _STATE_PROGRAMS), "")


def _obstacle(outcome: Outcome, before: tuple[TreeEntry, ...]) -> str:
    """Why the run of a gold is no standard, or nothing."""
    said = outcome.stderr.decode("utf-8", "replace")
    if outcome.reason != "done":
        return outcome.reason
    if not outcome.tree_complete:
        return "files"
    missing = _MISSING_PROGRAM.search(said)
    if missing or outcome.exit_code == 127:
        return f"program_missing: {next(filter(None, missing.groups()), '') if missing else said.strip()[-100:]}"
    last = said.strip().splitlines()[-1][:120] if said.strip() else ""
    shown = outcome.stdout.decode("utf-8", "replace")
    complaint = _COMPLAINT_SHOWN.search(shown)
    if complaint:
        return f"gold_fails: {complaint.group()[:120]}"
    if _NETWORK.search(said) or _NETWORK.search(shown):
        return f"needs_network: {last}"
    nothing_done = not outcome.stdout.strip() and outcome.tree == before
    if _COMPLAINT.search(said) or (nothing_done and outcome.exit_code and last):
        return f"gold_fails: {last}"
    return "no_effect" if nothing_done else ""


def _agrees(one: Outcome, other: Outcome, ordered: bool) -> bool:
    if other.reason != "done" or one.exit_code != other.exit_code or not other.tree_complete or one.tree != other.tree:
        return False
    left, right = one.stdout.rstrip(b"\n"), other.stdout.rstrip(b"\n")
    return left == right if ordered else sorted(left.split(b"\n")) == sorted(right.split(b"\n"))


def _differences(gold: Sequence[TreeEntry], answer: Sequence[TreeEntry]) -> list[str]:
    """Where two trees differ, a line each, at most `SHOWN_DIFFERENCES` and then how many more."""
    left, right = {entry.path: entry for entry in gold}, {entry.path: entry for entry in answer}
    lines = []
    for path in sorted(left.keys() | right.keys()):
        one, other = left.get(path), right.get(path)
        if one == other:
            continue
        if one is None or other is None:
            lines.append(f"{path}: {'gold' if one else 'answer'} only")
        elif one.kind != other.kind:
            lines.append(f"{path}: {one.kind} by the gold, {other.kind} by the answer")
        elif one.mode != other.mode:
            lines.append(f"{path}: mode {one.mode:04o} by the gold, {other.mode:04o} by the answer")
        else:
            lines.append(f"{path}: other content")
    more = len(lines) - SHOWN_DIFFERENCES
    return [*lines[:SHOWN_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])]


def _shown(outcome: Outcome) -> JsonObject:
    return {
        "reason": outcome.reason,
        "exit_code": outcome.exit_code,
        "stdout": _clipped(outcome.stdout),
        "stderr": _clipped(outcome.stderr),
    }


def _clipped(content: bytes) -> str:
    text = content.decode("utf-8", "backslashreplace")
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ... ({len(content)} bytes)"
