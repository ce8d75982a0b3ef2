"""From one entry of `sources` to rows: origin, cache, kills, a teacher, and faults of the source."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_parts import Stage, pairs, write_rows
from fake_endpoint import say, serve
from fake_teacher import task_of, teaching
from git_repositories import committed
from luthier.config.row_sections import SourceEntry, TeacherSection
from luthier.config.schema import EndpointSection
from luthier.core.errors import DataError
from luthier.core.files import HashMemory
from luthier.data.sources import making
from luthier.data.sources.making import MadeRows, Teachers, made_rows, rejects_of
from luthier.data.synthesize.context import ASKING_MAKERS
from luthier.data.teacher.journal import journal_in, sent_beside
from luthier.data.teacher.ledger import ASKED_AGAIN
from luthier.retrieval.shown import request_in
from maker_parts import APP, BUTTON, CART

FILES: dict[str, str | bytes] = {
    "src/cart.py": CART,
    "src/Button.res": BUTTON,
    "src/App.res": APP,
    "LICENSE": "SPDX-License-Identifier: MIT\n",
}
PAGE = """# Running the shop

## Choosing a port

Start the server with `shop serve --port 80`, and it listens there until a signal stops it. Without the option the server takes port 8080,
which needs no rights of an administrator, and writes the address to the log.

```bash
shop serve --port 80
```
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def commit() -> str:
    return committed(Path("shop"), FILES)


def entry(**keys: Any) -> SourceEntry:
    return SourceEntry.model_validate({"repo": "shop", "license": "MIT", **keys})


def make(**keys: Any) -> MadeRows:
    return made_rows(entry(**keys), Path("cache"), HashMemory(Path("hashes.json")), lambda step, done: None, Teachers({}, Path("cache"), 1))


def rows_of(made: MadeRows) -> list[dict[str, Any]]:
    return [json.loads(line) for line in made.path.read_text().splitlines()]


def test_rows_of_a_folder_whose_license_is_not_known_have_none(commit: str) -> None:
    committed(Path("shop"), {**FILES, "src/LICENSE": "All rights reserved. Proprietary and confidential.\n"})
    made = make()
    rows = rows_of(made)
    assert rows
    assert {row["origin"].get("license") for row in rows} == {None}
    assert made.facts["licenses"] == {"unknown": 3}


def test_rows_bear_commit_path_lines_license_and_maker(commit: str) -> None:
    made = make()
    rows = rows_of(made)
    assert len(rows) > 10
    texts = {path: str(text).splitlines() for path, text in FILES.items()}
    for row in rows:
        origin = row["origin"]
        assert (origin["commit"], origin["license"]) == (commit, "MIT")
        first, last = origin["lines"]
        assert 1 <= first <= last <= len(texts[origin["path"]])
        assert made.facts["makers"][origin["maker"]] == origin["maker_version"]
    assert made.facts["rows"] == {
        maker: sum(row["origin"]["maker"] == maker for row in rows) for maker in sorted({row["origin"]["maker"] for row in rows})
    }
    assert {row["origin"]["path"] for row in rows} == {"src/cart.py", "src/Button.res", "src/App.res"}


def test_progress_ends_with_the_rows_that_the_report_counts(commit: str) -> None:
    told: list[tuple[str, int]] = []
    narrow = entry(max_rows=3)
    teachers = Teachers({}, Path("cache"), 1)
    made = made_rows(narrow, Path("cache"), HashMemory(Path("hashes.json")), lambda step, done: told.append((step, done)), teachers)
    assert told[-1] == ("rows made of shop, within its budget", sum(made.facts["rows"].values())) == (told[-1][0], 3)
    before = [(step, done) for step, done in told[:-1] if step.startswith("rows ")]
    assert before[-1][1] > 3
    assert {step.split(",")[0] for step, _ in before} == {"rows proposed"}


def test_rows_are_made_once_and_anew_for_another_commit_or_entry(commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make()
    with monkeypatch.context() as patch:
        patch.setattr(making, "read", lambda *_: pytest.fail("the source is read again"))
        assert make() == first
    later = committed(Path("shop"), {"src/cart.py": CART.replace("rebates", "reductions")})
    second = make()
    assert second.path != first.path
    assert {row["origin"]["commit"] for row in rows_of(second)} == {later}
    assert make(commit=commit).facts["identity"] == first.facts["identity"]
    assert make(make=["explain"]).facts["makers"].keys() == {"explain"}


@pytest.mark.parametrize("after", range(3))
def test_what_a_kill_leaves_is_made_again(commit: str, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the first, second or third file is whole: no half is taken for the whole, and nothing is left behind."""
    whole = {path.name: path.read_bytes() for path in make().path.parent.iterdir()}
    for path in Path("cache/made").iterdir():
        path.unlink()
    real_rows, real_facts, written = making.write_with, making.write_json, []

    class Killed(BaseException):
        pass

    def cut(path: Path, real: Any, *parts: Any) -> None:
        if len(written) == after:
            # A killed process cleans nothing up.
            path.with_name(f".{path.name}.999999999.tmp").write_bytes(b'{"id": ')
            raise Killed
        written.append(path)
        real(path, *parts)

    monkeypatch.setattr(
        making, "write_with", lambda path, *parts: (path.parent.mkdir(parents=True, exist_ok=True), cut(path, real_rows, *parts))
    )
    monkeypatch.setattr(making, "write_json", lambda path, value: cut(path, real_facts, value))
    with pytest.raises(Killed):
        make()
    monkeypatch.setattr(making, "write_with", real_rows)
    monkeypatch.setattr(making, "write_json", real_facts)
    make()
    assert {path.name: path.read_bytes() for path in Path("cache/made").iterdir()} == whole
    # They hold what the source holds, before it is cleaned.
    assert {path.stat().st_mode & 0o077 for path in Path("cache/made").glob("*.jsonl")} == {0}


def test_a_file_that_cannot_be_read_costs_itself_alone_and_is_told_by_the_entry_of_this_run() -> None:
    Path("docs").mkdir()
    Path("docs/a.md").write_text(PAGE)
    Path("docs/b.pdf").write_bytes(b"%PDF-1.4 broken")
    made = made_rows(
        SourceEntry.model_validate({"docs": ["docs"]}),
        Path("cache"),
        HashMemory(Path("hashes.json")),
        lambda step, done: None,
        Teachers({}, Path("cache"), 1),
    )
    assert made.facts["rows"]["section"] >= 1
    told = [(reject.id, reject.step, reject.file) for reject in rejects_of(made, "sources[3]") if reject.step == "source"]
    assert told == [("sources[3]:b.pdf", "source", "b.pdf")]


HOSTILE = {
    "alias bomb": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 9)) for n in range(97, 107)),
    "alias of itself": b"a: &a [*a]\n",
    "deep YAML": b"openapi: " + b"[" * 100_000 + b"]" * 100_000,
    "deep blocks": b"openapi:\n" + b"\n".join(b" " * level + b"a:" for level in range(1, 1_300)),
    "deep JSON": b'{"openapi": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NUL": b"openapi: \0\n",
    "no UTF-8": b"openapi: \xff\xfe\xfa\n",
    "reference to itself": b'openapi: 3.0.0\npaths: {$ref: "#/paths"}\n',
}
OPENAPI = """openapi: 3.0.0
info: {title: t, version: "1"}
paths:
  /pets:
    get:
      operationId: listPets
      summary: List all pets of the shop
      parameters: [{name: limit, in: query, description: Most pets that are listed, schema: {type: integer}}]
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_costs_itself_alone(name: str) -> None:
    Path("good.yaml").write_text(OPENAPI)
    Path("bad.yaml").write_bytes(HOSTILE[name])
    result = Stage(sources=[{"schemas": ["good.yaml", "bad.yaml"]}])
    assert result.rows("train")
    assert {row.origin.file for row in result.rows()} == {"good.yaml"}
    assert [row["file"] for row in result.rejected if row["step"] == "source"] == ["bad.yaml"]


def vanishing(what: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is there when it is identified, and gone when it is read."""
    real = making.identify

    def identify(*parts: Any) -> str:
        found = real(*parts)
        what.rename(what.with_name("away"))
        return found

    monkeypatch.setattr(making, "identify", identify)


@pytest.mark.parametrize("key", ["repo", "docs", "schemas"])
def test_a_source_that_vanishes_is_told_and_leaves_nothing_half_made(key: str, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("docs").mkdir()
    Path("docs/a.md").write_text(PAGE)
    Path("api.yaml").write_text(OPENAPI)
    name = {"repo": "shop", "docs": "docs", "schemas": "api.yaml"}[key]
    vanishing(Path(name), monkeypatch)
    with pytest.raises(DataError) as raised:
        Stage(sources=[{key: name if key == "repo" else [name]}])
    assert name in str(raised.value)
    assert not list(Path("runs").rglob("*.tmp"))
    assert not list(Path("runs/.cache").rglob("*.jsonl"))


@pytest.fixture
def teacher() -> Iterator[Any]:
    with serve(teaching()) as endpoint:
        yield endpoint


def test_a_teacher_writes_rows_end_to_end_and_is_asked_once(commit: str, teacher: Any) -> None:
    keys: dict[str, Any] = {
        "datasets": [{"path": write_rows(Path("a.jsonl"), pairs(3)), "type": "prompt_completion"}],
        "sources": [{"repo": "shop", "license": "MIT", "make": ["explain"], "teacher": {"endpoint": "pen", "rows": 4}}],
        "endpoints": {"pen": {"base_url": teacher.url, "model": "m"}},
    }
    result = Stage(**keys)
    taught = [row for row in result.rows("train") if row.origin.maker == "teacher"]
    assert taught
    for row in taught:
        assert (row.origin.commit, row.origin.license) == (commit, "MIT")
        assert row.origin.path in FILES
        assert row.origin.lines is not None
    (source,) = [source for source in result.provenance["sources"] if source["key"] == "sources[0]"]
    asked = len(teacher.bodies)
    assert source["teacher"]["endpoints"]["pen"]["replies"] == asked > 0
    # Rows anew, replies from the journal.
    for path in Path("runs/.cache/made").iterdir():
        path.unlink()
    again = Stage("again", **keys)
    assert len(teacher.bodies) == asked
    assert again.rows() == result.rows()
    # Killed while the last reply was on its way: it is asked for again, and the run says so, but its record does not.
    journal = journal_in(Path("runs/.cache"))
    *lines, last = journal.read_text(encoding="ascii").splitlines(keepends=True)
    journal.write_text("".join(lines), encoding="ascii")
    sent_beside(journal).write_text(f"{json.loads(last)['key']}\n", encoding="ascii")
    for path in Path("runs/.cache/made").iterdir():
        path.unlink()
    third = Stage("third", **keys)
    told = [event["done"] for event in third.events if event.get("step", "").endswith(ASKED_AGAIN)]
    assert (len(teacher.bodies), told) == (asked + 1, [1])
    assert third.rows() == result.rows()
    assert third.provenance["sources"] == result.provenance["sources"]


def test_a_teacher_of_whom_nothing_can_be_used_is_told(commit: str) -> None:
    with serve(teaching(lambda task, text: "no object at all")) as endpoint:
        keys: dict[str, Any] = {
            "datasets": [{"path": write_rows(Path("a.jsonl"), pairs(3)), "type": "prompt_completion"}],
            "sources": [{"repo": "shop", "license": "MIT", "make": ["explain"], "teacher": {"endpoint": "pen", "rows": 4}}],
            "endpoints": {"pen": {"base_url": endpoint.url, "model": "m"}},
        }
        Stage(**keys)
    (facts,) = [json.loads(path.read_text()) for path in Path("runs/.cache/made").glob("*.json")]
    (note,) = [note for note in facts["notes"] if "teacher" in note]
    count = len(endpoint.bodies)
    assert note == f"the teacher made no row: {count} of {count} replies could not be used (teacher_bad_json)"


def test_requests_that_were_refused_are_counted_and_asked_alone_the_next_time(commit: str, tmp_path: Path) -> None:
    refused: list[int] = []
    answer = teaching()

    def limited(handler: Any, body: dict[str, Any], number: int) -> None:
        if task_of(body) == "answers" and len(refused) < 2:
            refused.append(number)
            say(handler, 429, b"{}")
        else:
            answer(handler, body, number)

    with serve(limited) as endpoint:
        section = EndpointSection(base_url=endpoint.url, model="m", retries=0, concurrency=1)
        entry = SourceEntry(repo="shop", make=("explain",), teacher=TeacherSection(endpoint="pen", rows=4))
        teachers = Teachers({"pen": section}, tmp_path / "journal", 7)
        first = made_rows(entry, tmp_path / "cache", HashMemory(tmp_path / "hashes"), lambda *_: None, teachers)
        failed = first.facts["teacher_failed"]
        assert failed == len(refused) == 2
        asked = len(endpoint.bodies)
        second = made_rows(entry, tmp_path / "cache", HashMemory(tmp_path / "hashes"), lambda *_: None, teachers)
        again = endpoint.bodies[asked:]
        assert [task_of(body) for body in again].count("answers") == failed
        # Their marks, and nothing that was replied before.
        assert [task_of(body) for body in again].count("judge") == failed
        assert len(again) == 2 * failed
        assert second.facts["teacher_failed"] == 0
        made_rows(entry, tmp_path / "cache", HashMemory(tmp_path / "hashes"), lambda *_: None, teachers)
        assert len(endpoint.bodies) == asked + len(again)


def test_a_changed_document_makes_new_rows_under_the_same_entry() -> None:
    Path("docs").mkdir()
    Path("docs/a.md").write_text(PAGE)

    def made() -> MadeRows:
        source = SourceEntry.model_validate({"docs": ["docs"]})
        return made_rows(source, Path("cache"), HashMemory(Path("hashes.json")), lambda step, done: None, Teachers({}, Path("cache"), 1))

    first = made()
    Path("docs/a.md").write_text(PAGE.replace("8080", "9090"))
    second = made()
    assert (first.path != second.path, first.facts["identity"] != second.facts["identity"]) == (True, True)
    assert "8080" in first.path.read_text()
    assert "9090" in second.path.read_text()
    assert "8080" not in second.path.read_text()


def test_origins_of_documents_tell_the_folder_the_hash_and_the_nearest_license() -> None:
    mit = "SPDX-License-Identifier: MIT\n"
    for folder, text in (("one", PAGE), ("two", PAGE.replace("shop", "mill"))):
        Path(folder, "deep").mkdir(parents=True)
        Path(folder, "deep", "a.md").write_text(text)
    Path("one/LICENSE").write_text(mit)
    Path("api.yaml").write_text(OPENAPI)
    result = Stage(sources=[{"docs": ["one"]}, {"docs": ["two/deep/*.md"], "license": "CC0-1.0"}, {"schemas": ["api.yaml"]}])
    told = {(row.origin.file, row.origin.license, row.origin.sha256) for row in result.rows()}
    hashes = {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in ("one/deep/a.md", "two/deep/a.md", "api.yaml")}
    assert told == {
        ("one/deep/a.md", "MIT", hashes["one/deep/a.md"]),
        ("two/deep/a.md", "CC0-1.0", hashes["two/deep/a.md"]),
        ("api.yaml", None, hashes["api.yaml"]),
    }
    # Another license, and the rows bear it; nothing of the documents changed.
    Path("one/LICENSE").write_text(mit.replace("MIT", "ISC"))
    again = Stage("again", sources=[{"docs": ["one"]}])
    assert {row.origin.license for row in again.rows()} == {"ISC"}


def test_the_license_of_a_checkout_holds_for_its_folder_of_documents() -> None:
    committed(Path("shop"), {"docs/a.md": PAGE, "LICENSE": "SPDX-License-Identifier: MIT\n"})
    assert {row.origin.license for row in Stage(sources=[{"docs": ["shop/docs"]}]).rows()} == {"MIT"}


def test_rows_over_a_budget_are_left_out_and_counted(commit: str) -> None:
    everything, few = make(), make(max_rows=5)
    assert len(rows_of(few)) == 5 == sum(few.facts["rows"].values())
    before, after = (Counter({**made.facts["rows"]}) + Counter(made.facts["over_budget"]) for made in (everything, few))
    assert before == after
    assert few.facts["over_budget"]
    texts = {json.dumps(row, sort_keys=True) for row in rows_of(everything)}
    assert {json.dumps(row, sort_keys=True) for row in rows_of(few)} <= texts


def test_context_puts_pieces_in_front_of_questions_and_changes_nothing_else(commit: str) -> None:
    plain, shown = rows_of(make()), rows_of(made := make(context={"pieces": 3, "characters": 300}))
    assert rows_of(make(context=False)) == plain
    changed = 0
    for before, after in zip(plain, shown, strict=True):
        assert after["origin"] == before["origin"]
        assert after["messages"][1:] == before["messages"][1:]
        request, asked = before["messages"][0]["content"], after["messages"][0]["content"]
        assert request_in(asked) == request
        changed += asked != request
        assert asked == request or before["origin"]["maker"] in ASKING_MAKERS
    assert changed == made.facts["in_context"] > 3
    assert "in_context" not in make().facts


def test_rows_behind_the_same_pieces_are_compared_by_what_they_ask(commit: str) -> None:
    sources = {"repo": "shop", "license": "MIT", "make": ["locate", "question"]}
    plain = Stage("plain", sources=[sources])
    shown = Stage("shown", sources=[{**sources, "context": True}], split={"test": 0.3})
    kept = [request_in(row.messages[0].content) for row in shown.rows()]
    assert sorted(kept) == sorted(row.messages[0].content for row in plain.rows())
    assert sum(row.messages[0].content.startswith("[1] ") for row in shown.rows()) > len(kept) // 2
