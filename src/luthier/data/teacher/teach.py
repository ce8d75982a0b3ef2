"""Rows that a remote model makes from the chunks of a source, each judged before it is kept.

The work goes in waves of chunks, each wave in steps: requests, answers, marks; other wordings and harder questions of what was kept, and
their answers and marks. A step's requests are sent together and taken in their order, so the rows do not depend on how fast replies come.
Below a ceiling a wave has no more chunks than can be paid for to their end, so that little is begun that cannot be finished.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from luthier.config.row_sections import TeacherSection
from luthier.config.schema import EndpointSection
from luthier.core.events import monotonic_seconds
from luthier.core.records import JsonObject
from luthier.data.rows.digests import digest_of, id_of
from luthier.data.rows.fields import BadRow, Fields
from luthier.data.synthesize.context import in_context
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.teacher import judge as judging
from luthier.data.teacher import tasks
from luthier.data.teacher.asking import Ask, Correspondent, Reply, seed_of
from luthier.data.teacher.choice import chosen
from luthier.data.teacher.journal import open_journal
from luthier.data.teacher.ledger import COST_DIGITS, Ledger, TeacherReport, Tokens, most_tokens
from luthier.data.teacher.masking import sendable
from luthier.data.teacher.patience import Patience
from luthier.data.teacher.pieces import Piece, own_text, pieces_of
from luthier.data.teacher.tasks import Task
from luthier.retrieval.records import Chunk
from luthier.retrieval.searching import WordSearch

Progress = Callable[[int, int], None]
_Item = TypeVar("_Item")

# Goes up when other rows come of the same replies; it is written into the origin of every row that a teacher made.
VERSION = 6
MOST_QUESTIONS = 5
# Chunks in work together.
_WAVE = 64
# Chunks tried alone, one after the other, that the ceiling left unfinished, before the work ends; smaller ones may follow a large one.
_LEFT_IN_A_ROW = 4
# Bytes of the words around a chunk in a request, roughly: they decide how many chunks a wave has, never whether a request is sent.
_AROUND_A_CHUNK = 2_000
_FIRST = {"questions": tasks.REQUESTS, "answers": tasks.ANSWERS, "paraphrases": tasks.PARAPHRASES, "harder": tasks.HARDER}


@dataclass(slots=True)
class _Draft:
    """A row in the making. `bad` ends its way, and so does the ceiling (`is_left`); `is_kept` says that the judge, or a rule, passed it.

    `prompts` are the versions of the prompts that it took, by task; `cost` is that of its replies, of one for several rows its share.
    """

    piece: Piece
    kind: str
    request: str = ""
    answer: str = ""
    bad: BadRow | None = None
    is_kept: bool = False
    is_told: bool = True
    is_left: bool = False
    parent: _Draft | None = None
    mark: float | None = None
    cost: float = 0.0
    prompts: dict[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.bad is None and not self.is_left


def teach(
    material: Material,
    settings: TeacherSection,
    endpoint: EndpointSection,
    judge: EndpointSection,
    journal: Path,
    progress: Progress,
    seed: int,
    report: TeacherReport,
) -> Iterator[Made | Unfit]:
    """The rows and what was turned down, in the order of asking; `report` is filled on the way and whole at the end.

    `settings` names both endpoints as the run file does. `progress(rows, of)` is called after each row. Chunks go out without their
    secrets, private hosts and personal data; one that does not come clean does not go out. `ConfigError` where a ceiling is set without
    a price, `ModelError` where a key is missing or refused or a model unknown, `EndpointError` where a server is down; whatever was
    replied stays in `journal`.
    """
    began = monotonic_seconds()
    report.seed, report.temperature = seed, settings.temperature
    try:
        with open_journal(journal) as opened:
            ledger = Ledger(settings.max_cost, report)
            patience = Patience("teacher", settings.max_unusable)
            writer = Correspondent(settings.endpoint, endpoint, opened, ledger, patience)
            judge_name = settings.judge or settings.endpoint
            marker = writer if judge_name == settings.endpoint else Correspondent(judge_name, judge, opened, ledger, patience)
            yield from _Lesson(material, settings, writer, marker, seed, ledger).rows(progress)
    finally:
        report.seconds = monotonic_seconds() - began


class _Lesson:
    """The rows of one source."""

    def __init__(
        self, material: Material, settings: TeacherSection, writer: Correspondent, marker: Correspondent, seed: int, ledger: Ledger
    ) -> None:
        self._material, self._settings, self._seed, self._ledger, self._report = material, settings, seed, ledger, ledger.report
        self._writer, self._marker = writer, marker
        self._name = sendable([material.name])[0].text or "the project"
        self._make = frozenset(settings.make)
        self._chunks = chosen(material.chunks, seed)
        kinds = int(self._tells_base) + len(self._make & {"paraphrases", "harder"})
        share = -(-settings.rows // max(1, len(self._chunks) * kinds))
        self._questions = min(MOST_QUESTIONS, share) if "questions" in self._make else 1
        self._rows_of_a_chunk = self._questions * kinds

    @property
    def _tells_base(self) -> bool:
        """Whether the rows that variants are made of are the teacher's own, and so are told."""
        return bool(self._make & {"questions", "answers"})

    def rows(self, progress: Progress) -> Iterator[Made | Unfit]:
        """All rows, wave by wave."""
        wanted, kept, left_in_a_row = self._settings.rows, 0, 0
        waiting = deque(self._chunks)
        while kept < wanted and left_in_a_row < _LEFT_IN_A_ROW:
            wave = self._wave(waiting, min(_WAVE, -(-(wanted - kept) // self._rows_of_a_chunk)))
            if not wave:
                break
            passed_over = self._ledger.passed_over
            drafts = self._worked(wave)
            left_in_a_row = left_in_a_row + 1 if len(wave) == 1 and self._ledger.passed_over > passed_over else 0
            self._report.chunks += len(wave)
            for draft in drafts:
                if draft.bad is not None:
                    self._report.rejected[draft.bad.reason] += 1
                    yield Unfit(draft.piece.chunk.path, draft.piece.chunk.lines, draft.bad.reason, draft.bad.detail)
                elif draft.is_kept and draft.is_told and kept < wanted:
                    kept += 1
                    self._report.rows[draft.kind] += 1
                    chunk = draft.piece.chunk
                    progress(kept, wanted)
                    yield self._row(draft, chunk)
        if kept < wanted and self._ledger.passed_over:
            told = f"{kept:,} of {wanted:,} rows were made, and {len(self._chunks) - self._report.chunks:,} chunks not begun"
            self._report.left_undone = f"{self._ledger.why_undone()}; {told}"

    def _wave(self, waiting: deque[Chunk], most: int) -> list[Chunk]:
        """The next chunks, `most` or fewer, taken from `waiting`: as many as can be paid for to their end, but one at least.

        Chunks of which not even the first request can be paid for are taken away on the way.
        """
        if self._settings.max_cost is None:
            return [waiting.popleft() for _ in range(min(most, len(waiting)))]
        wave: list[Chunk] = []
        left = self._ledger.left
        while waiting and len(wave) < most:
            first, all_of_it = self._worst_of(waiting[0])
            if self._ledger.worth(self._writer.name, first) > self._ledger.left:
                self._ledger.pass_over(self._writer.name, first)
                waiting.popleft()
                continue
            if wave and all_of_it > left:
                break
            left -= all_of_it
            wave.append(waiting.popleft())
        return wave

    def _worst_of(self, chunk: Chunk) -> tuple[Tokens, float]:
        """Of a chunk, tokens that its first request costs at its worst, and roughly the worst cost of all its requests."""
        size = len(chunk.text.encode("utf-8", "surrogatepass"))
        kind = next(kind for kind in ("questions", "answers", "paraphrases", "harder") if kind in self._make)
        shown = "" if kind == "paraphrases" else chunk.text
        first = most_tokens(_FIRST[kind].messages(shown), self._settings.max_tokens)
        written = self._questions * (int("answers" in self._make) + int("paraphrases" in self._make) + 2 * int("harder" in self._make))
        judged = self._rows_of_a_chunk
        asked = self._ledger.worth(self._writer.name, (size + _AROUND_A_CHUNK, self._settings.max_tokens))
        marked = self._ledger.worth(self._marker.name, (size + _AROUND_A_CHUNK + self._settings.max_tokens, judging.MOST_TOKENS))
        return first, (int("questions" in self._make) + written) * asked + judged * marked

    def _row(self, draft: _Draft, chunk: Chunk) -> Made:
        """The row with what is told of its making."""
        parent = draft.parent
        parents = () if parent is None or not parent.is_told else _id(self._shown(parent, chunk))
        return replace(self._shown(draft, chunk), parents=parents, teacher=self._told(draft))

    def _shown(self, draft: _Draft, chunk: Chunk) -> Made:
        """The turns; among other pieces of the source where the section asks for them and there are enough."""
        made = Made(asked(draft.request, draft.answer), chunk.path, chunk.lines, chunk.license)
        if not self._settings.context:
            return made
        return in_context(made, chunk, WordSearch({self._material.name: self._material.index}), self._seed) or made

    def _told(self, draft: _Draft) -> JsonObject:
        """Who wrote a row and marked it, for its origin."""
        told: JsonObject = {"endpoint": self._writer.name, "model": self._writer.model, "task": draft.kind}
        told["prompts"] = dict(sorted(draft.prompts.items()))
        if draft.mark is not None:
            told |= judging.told_of(self._marker, draft.mark, self._settings.threshold)
        if all(counted.price is not None for counted in self._report.endpoints.values()):
            told["cost"] = round(draft.cost, COST_DIGITS)
        return told

    def _heard(self, draft: _Draft, by: Correspondent, reply: Reply, shared_by: int = 1) -> None:
        """Notes that a draft took `reply`, which `shared_by` drafts share."""
        draft.prompts[reply.task] = reply.prompt
        draft.cost += self._ledger.worth(by.name, reply.tokens) / shared_by

    def _worked(self, wave: Sequence[Chunk]) -> list[_Draft]:
        """The drafts of a wave in the order of its chunks, as far as the ceiling let them come."""
        drafts: list[_Draft] = []
        variants: list[_Draft] = []
        self._begin(wave, drafts)
        base = [draft for draft in drafts if draft.is_open]
        if "answers" in self._make:
            self._answer(base)
        if self._tells_base:
            self._judge(base)
        else:
            for draft in base:
                draft.is_kept, draft.is_told = True, False
        good = [draft for draft in base if draft.is_kept]
        if "paraphrases" in self._make:
            self._reword([draft for draft in good if draft.answer], variants)
        if "harder" in self._make:
            self._harden(good, variants)
        order = {id(chunk): place for place, chunk in enumerate(wave)}
        return sorted([*drafts, *variants], key=lambda draft: order[id(draft.piece.chunk)])

    def _begin(self, wave: Sequence[Chunk], drafts: list[_Draft]) -> None:
        """Requests about each chunk: the teacher's, or those that a rule words."""
        pieces = []
        for piece, is_clean in pieces_of(wave, self._name):
            if is_clean:
                pieces.append(piece)
            else:
                told = "the chunk holds a secret that redaction does not take out, or could not be scanned; it was not sent"
                drafts.append(_Draft(piece, "question", bad=BadRow("secret", told)))
        if "questions" not in self._make:
            drafts += [self._by_rule(piece) for piece in pieces]
            return
        task = tasks.QUESTIONS if "answers" in self._make else tasks.REQUESTS
        count = f"Write {self._questions} of them." if self._questions > 1 else "Write one."
        read = partial(tasks.questions_in, most=self._questions, task=task)
        asks = [self._ask(task, (piece.shown, count), piece.text, read) for piece in pieces]
        for piece, reply in self._each(self._writer, asks, pieces):
            answer = "" if "answers" in self._make else own_text(piece)
            found = _or_why(read, reply)
            for question in found:
                if isinstance(question, BadRow):
                    drafts.append(_Draft(piece, "question", bad=question))
                else:
                    drafts.append(_Draft(piece, "question", question, answer))
                self._heard(drafts[-1], self._writer, reply, len(found))

    def _by_rule(self, piece: Piece) -> _Draft:
        chunk = piece.chunk
        if "answers" in self._make or "paraphrases" not in self._make:
            if chunk.kind == "section":
                return _Draft(piece, "answer", f"What does the documentation of {self._name} say under “{piece.name}”?")
            return _Draft(piece, "answer", f"What does the {chunk.kind} `{piece.name}` in `{piece.path}` do?")
        return _Draft(piece, "answer", f"Show `{piece.name}` of `{piece.path}` in {self._name}.", own_text(piece))

    def _answer(self, drafts: Sequence[_Draft]) -> None:
        """Answers to the drafts' requests, from the chunk alone."""
        asks = self._about(tasks.ANSWERS, drafts, tasks.answer_in)
        for draft, reply in self._each(self._writer, asks, drafts):
            self._heard(draft, self._writer, reply)
            try:
                draft.answer = tasks.answer_in(reply, draft.request)
            except BadRow as error:
                draft.bad = error

    def _judge(self, drafts: Sequence[_Draft], asks: Mapping[int, Ask] | None = None) -> None:
        """Marks; what falls below the threshold, or cannot be judged, is turned down."""
        good = [draft for draft in drafts if draft.is_open]
        written = [
            asks[id(draft)] if asks is not None else judging.ask_about_answer(draft.piece.shown, draft.request, draft.answer)
            for draft in good
        ]
        for ask in written:
            self._report.prompts[ask.task] = ask.version
        for draft, reply in self._each(self._marker, written, good):
            self._heard(draft, self._marker, reply)
            try:
                draft.mark = judging.check(reply, self._settings.threshold)
                draft.is_kept = True
            except BadRow as error:
                draft.bad = error

    def _reword(self, drafts: Sequence[_Draft], variants: list[_Draft]) -> None:
        """One other wording of each request, with the same answer."""
        task, reads = tasks.PARAPHRASES, [partial(tasks.paraphrases_in, request=draft.request, most=1) for draft in drafts]
        asks = [
            self._ask(task, ("Write one.", f"Request:\n{tasks.data(draft.request)}"), draft.request, read)
            for draft, read in zip(drafts, reads, strict=True)
        ]
        new: list[_Draft] = []
        judged: dict[int, Ask] = {}
        for (draft, read), reply in self._each(self._writer, asks, list(zip(drafts, reads, strict=True))):
            for wording in _or_why(read, reply):
                made = _Draft(draft.piece, "paraphrase", answer=draft.answer, parent=draft)
                self._heard(made, self._writer, reply)
                if isinstance(wording, BadRow):
                    made.bad = wording
                else:
                    made.request = wording
                    judged[id(made)] = judging.ask_about_paraphrase(draft.request, wording)
                new.append(made)
        variants += new
        self._judge(new, judged)

    def _harden(self, drafts: Sequence[_Draft], variants: list[_Draft]) -> None:
        """One harder question for each, with an answer of its own."""
        asks = self._about(tasks.HARDER, drafts, tasks.harder_in)
        new = []
        for draft, reply in self._each(self._writer, asks, drafts):
            made = _Draft(draft.piece, "harder", parent=draft)
            self._heard(made, self._writer, reply)
            try:
                made.request = tasks.harder_in(reply, draft.request)
            except BadRow as error:
                made.bad = error
            new.append(made)
        variants += new
        good = [draft for draft in new if draft.is_open]
        self._answer(good)
        self._judge(good)

    def _about(self, task: Task, drafts: Sequence[_Draft], read: Callable[[Reply, str], str]) -> list[Ask]:
        """Requests of `task` about the question and the piece of each draft."""

        def one(draft: _Draft) -> Ask:
            question = draft.request
            parts = (draft.piece.shown, f"Question:\n{tasks.data(question)}")
            return self._ask(task, parts, question, lambda reply: read(reply, question))

        return [one(draft) for draft in drafts]

    def _ask(self, task: Task, parts: tuple[str, ...], salt: str, read: Callable[[Reply], object]) -> Ask:
        self._report.prompts[task.name] = task.version
        settings = self._settings
        seed = seed_of(self._seed, task.name, salt)
        return Ask(task.name, task.version, task.messages(*parts), seed, settings.temperature, settings.max_tokens, read)

    def _each(self, to: Correspondent, asks: Sequence[Ask], items: Sequence[_Item]) -> Iterator[tuple[_Item, Reply]]:
        """Each item with the reply to its request, without those that the ceiling did not let through."""
        for item, reply in zip(items, to.ask(asks), strict=True):
            if reply is not None:
                yield item, reply
            elif isinstance(item, _Draft):
                item.is_left = True


def _id(made: Made) -> tuple[str, ...]:
    """The id of a row as it is made; none for one that cannot be stored."""
    try:
        return (id_of(digest_of(Fields(made.messages), "")),)
    except BadRow:
        return ()


def _or_why(read: Callable[[Reply], list[str | BadRow]], reply: Reply) -> list[str | BadRow]:
    """What `read` finds, or why it finds nothing."""
    try:
        return read(reply)
    except BadRow as error:
        return [error]
