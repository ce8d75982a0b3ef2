"""A question to one model or two, with what was found for it: what is shown, cited, cut, and told where a model fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from luthier.config.serve_section import ServeLimits
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.retrieval.shown import ContextForm, Shown, request_in, with_pieces
from luthier.serve.asking.catalogue import Catalogue, Named
from luthier.serve.asking.query import Queries, Query
from luthier.serve.asking.screen import ScreenedAnswers
from luthier.serve.door.errors import RequestError
from luthier.serve.engine.place import Opened, Opening
from luthier.serve.ingest.library import UnknownSourceError

TOKEN = "ghp_" + "Zq3vN8xKc2LmR7tYb5WdHj9sPf4gUa1eT0Bo"
NAMES = ("m", "n", "tuned")
FORM = ContextForm(2, 80)


@dataclass
class Engine:
    """Answers `ls` after each request; a prompt over `longest` characters is too long, and models of `failing` fail."""

    longest: int = 1_000_000
    positions: int = 4_096
    failing: Sequence[str] = ()
    pause: float = 0.0
    asked: list[GenerationRequest] = field(default_factory=list)
    left: int = 0
    models: dict[str, Opening] = field(default_factory=dict)

    async def open(self, name: str, opening: Opening) -> Opened:
        self.models[name] = opening
        return Opened("b", "i", "float32", "cpu", self.positions)

    async def ask(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        self.asked.append(request)
        if request.model in self.failing:
            yield ErrorEvent(request.id, "it broke", may_pass=True)
            return
        if sum(len(message.content) for message in request.messages) > self.longest:
            yield ErrorEvent(request.id, "more than its positions", "messages")
            return
        try:
            yield TokenEvent(request.id, "ls ")
            await asyncio.sleep(self.pause)
            yield TokenEvent(request.id, "-l")
            yield DoneEvent(request.id, "ls -l", "stop", 7, 2)
        except (GeneratorExit, asyncio.CancelledError):
            self.left += 1
            raise


@dataclass(frozen=True)
class Piece:
    source: str
    path: str
    lines: tuple[int, int]
    commit: str | None
    text: str
    language: str = "python"


@dataclass
class Library:
    """Finds always the same, and notes what it was asked."""

    pieces: Sequence[Piece]
    asked: list[tuple[str, Sequence[str] | None, int]] = field(default_factory=list)

    def search(self, text: str, sources: Sequence[str] | None = None, limit: int = 5) -> Sequence[Piece]:
        self.asked.append((text, sources, limit))
        if sources and "none" in sources:
            raise UnknownSourceError("there is no source `none`")
        return self.pieces[:limit]


CODE = f"def f():\n    {'x' * 60}\n    return 1"
PIECES = [Piece("code", f"p{number}.py", (10, 12), "c0ffee", CODE) for number in range(8)]


class Models(Catalogue):
    """Three models of which one was trained with pieces."""

    def all(self) -> Any:
        yield self.base
        for name in NAMES:
            yield Named(name, "model", name, Opening(name, "base"), context=FORM if name == "tuned" else None)


def asked(query: Query, engine: Engine | None = None, library: Library | None = None) -> tuple[dict[str, Any], Engine, Library]:
    engine, library = engine or Engine(), library or Library(PIECES)
    answers = ScreenedAnswers(Models(None, {}, [Path("none")]), engine, None, ServeLimits(), mode="warn")
    return asyncio.run(Queries(answers, library).answer(query)), engine, library


def prompt(engine: Engine, number: int = -1) -> str:
    return engine.asked[number].messages[-1].content


def test_an_answer_with_what_it_was_shown() -> None:
    told, engine, library = asked(Query("Where is f0?", "m", system="Be brief."))
    assert (told["q"], told["model"], told["answer"], told["finish_reason"]) == ("Where is f0?", "m", "ls -l", "stop")
    assert told["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    assert (told["guard"]["level"], told["guard"]["action"]) == ("safe", "allow")
    assert set(told["timing"]) == {"retrieval_ms", "first_token_ms", "total_ms"}
    assert 0 <= told["timing"]["first_token_ms"] <= told["timing"]["total_ms"]
    assert [source["id"] for source in told["sources"]] == ["1", "2", "3", "4"]
    place = {"path": "p0.py", "lines": [10, 12], "commit": "c0ffee"}
    assert told["sources"][0] == {"id": "1", "source": "code", **place, "text": CODE}
    assert "compared" not in told
    shown = [Shown(piece.path, piece.lines, piece.text, piece.language) for piece in PIECES[:4]]
    assert prompt(engine) == with_pieces(shown, "Where is f0?")
    assert [message.role for message in engine.asked[0].messages] == ["system", "user"]
    assert library.asked == [("Where is f0?", None, 4)]


def test_a_model_trained_with_pieces_is_shown_as_many_and_as_long_ones() -> None:
    told, engine, _ = asked(Query("Where?", "tuned"))
    assert [source["lines"] for source in told["sources"]] == [[10, 11], [10, 11]]
    assert all(len(source["text"]) <= FORM.characters for source in told["sources"])
    assert prompt(engine).startswith("[1] p0.py, lines 10 to 11:\n")
    assert len(asked(Query("Where?", "tuned", top_k=3))[0]["sources"]) == 3


@pytest.mark.parametrize("query", [Query("Where?", "m", top_k=0), Query("Where?", "tuned", sources=())])
def test_without_sources_the_question_stands_alone(query: Query) -> None:
    told, engine, library = asked(query)
    assert (told["sources"], prompt(engine), library.asked) == ([], "Where?", [])


def test_where_nothing_is_found_the_question_stands_alone() -> None:
    told, engine, _ = asked(Query("Where?", "tuned"), library=Library([]))
    assert (told["sources"], prompt(engine)) == ([], "Where?")


def test_no_secret_reaches_a_model_or_an_answer() -> None:
    library = Library([Piece("code", "a.py", (1, 1), None, f'KEY = "{TOKEN}"')])
    told, engine, _ = asked(Query(f"Is {TOKEN} a key?", "m", system=f"Use {TOKEN}."), library=library)
    assert TOKEN not in str(engine.asked)
    assert "<GITHUB_TOKEN>" in told["sources"][0]["text"]
    assert request_in(prompt(engine)) == "Is <GITHUB_TOKEN> a key?"


def test_pieces_are_cut_to_what_the_model_can_hold() -> None:
    told, engine, _ = asked(Query("Where?", "m"), Engine(positions=240))
    assert 0 < len(told["sources"]) < 4
    assert (engine.asked[0].max_new_tokens, engine.asked[0].cut_to_fit) == (64, False)
    told, engine, _ = asked(Query("Where?", "m"), Engine(longest=250))
    assert len(told["sources"]) == 1
    assert len(engine.asked) == 4, "a piece less each time"
    told, engine, _ = asked(Query("Where?", "m", max_tokens=9), Engine(longest=50))
    assert (told["sources"], prompt(engine)) == ([], "Where?")
    assert (engine.asked[-1].max_new_tokens, engine.asked[-1].cut_to_fit) == (9, False)


def test_a_question_that_is_too_long_is_told() -> None:
    with pytest.raises(RequestError) as raised:
        asked(Query("Where?" * 10, "m"), Engine(longest=50))
    assert (raised.value.status, raised.value.param) == (422, "q")


def test_two_models_are_asked_at_once() -> None:
    told, engine, library = asked(Query("Where?", "m", "n"))
    assert [request.model for request in engine.asked] == ["m", "n"]
    assert len(library.asked) == 1
    assert (told["model"], told["compared"]["model"], told["compared"]["answer"]) == ("m", "n", "ls -l")
    assert set(told["compared"]) == {"model", "answer", "finish_reason", "usage", "guard", "timing"}


def test_the_second_answer_tells_what_it_was_shown_where_that_differs() -> None:
    told, engine, _ = asked(Query("Where?", "m", "tuned"))
    assert (len(told["sources"]), len(told["compared"]["sources"])) == (4, 2)
    for source in told["compared"]["sources"]:
        assert f"[{source['id']}] {source['path']}, lines {source['lines'][0]} to {source['lines'][1]}:" in prompt(engine)
        assert source["text"] in prompt(engine)


def test_one_of_two_models_may_fail() -> None:
    told, _, _ = asked(Query("Where?", "m", "n"), Engine(failing=("n",)))
    assert told["answer"] == "ls -l"
    assert told["compared"]["model"] == "n"
    assert told["compared"]["error"]["message"] == "it broke"
    told, _, _ = asked(Query("Where?", "m", "n"), Engine(failing=("m",)))
    assert set(told) == {"q", "model", "error", "compared"}
    assert (told["model"], told["error"]["message"]) == ("m", "it broke")
    assert (told["compared"]["model"], told["compared"]["answer"], len(told["compared"]["sources"])) == ("n", "ls -l", 4)
    with pytest.raises(RequestError, match="it broke"):
        asked(Query("Where?", "m", "n"), Engine(failing=("m", "n")))
    with pytest.raises(RequestError, match="it broke"):
        asked(Query("Where?", "m"), Engine(failing=("m",)))


def test_base_and_fine_tuned_are_the_served_ones() -> None:
    told, _, _ = asked(Query("Where?", "base"))
    assert told["model"] == "starter"
    assert asked(Query("Where?"))[0]["model"] == "starter"
    with pytest.raises(RequestError, match="no run is served") as raised:
        asked(Query("Where?", "fine-tuned"))
    assert (raised.value.status, raised.value.param) == (404, "model")
    with pytest.raises(RequestError, match="no such model") as raised:
        asked(Query("Where?", "m", "other"))
    assert (raised.value.status, raised.value.param) == (404, "compare_with")


def test_two_names_may_mean_one_model() -> None:
    answers = ScreenedAnswers(Models(None, {}, [Path("none")]), Engine(), None, ServeLimits(), mode="warn")
    queries = Queries(answers, Library([]))
    assert asyncio.run(queries.are_one("base", "starter"))
    assert not asyncio.run(queries.are_one("base", "m"))
    with pytest.raises(RequestError, match="no such model"):
        asyncio.run(queries.are_one("base", "other"))


def test_a_source_that_is_not_there_is_told() -> None:
    with pytest.raises(RequestError, match="no source") as raised:
        asked(Query("Where?", "m", sources=("none",)))
    assert (raised.value.status, raised.value.param) == (404, "sources")


def test_who_leaves_cancels_both() -> None:
    async def work() -> int:
        engine = Engine(pause=60)
        answers = ScreenedAnswers(Models(None, {}, [Path("none")]), engine, None, ServeLimits(), mode="warn")
        task = asyncio.create_task(Queries(answers, Library([])).answer(Query("Where?", "m", "n")))
        while len(engine.asked) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return engine.left

    assert asyncio.run(work()) == 2


def test_a_stream_tells_sources_tokens_and_the_rest() -> None:
    async def work() -> list[tuple[str, Any]]:
        answers = ScreenedAnswers(Models(None, {}, [Path("none")]), Engine(), None, ServeLimits(), mode="warn")
        return [event async for event in Queries(answers, Library(PIECES)).stream(Query("Where?", "m"))]

    events = asyncio.run(work())
    names = [name for name, _ in events]
    assert (names[0], names[-1], set(names[1:-1])) == ("sources", "done", {"token"})
    assert len(events[0][1]["sources"]) == 4
    assert "".join(body["text"] for name, body in events if name == "token") == events[-1][1]["answer"] == "ls -l"
    assert events[-1][1]["q"] == "Where?"
