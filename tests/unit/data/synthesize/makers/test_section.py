"""Rows of documents: the question that a heading stands for, the answer that stands alone, and what is turned down."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.synthesize.headings import question
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.section import make
from luthier.data.synthesize.prose import MAX_WORDS, Unsuited, answer
from luthier.retrieval.records import Chunk, SourceFile
from maker_parts import NO_CHUNKS

PROSE = (
    "A group holds several commands and passes its own options on to each of them. When it is invoked without a command, "
    "it prints its help text and ends with the exit code 0."
)


def section(name: str, body: str, scope: str = "Guide", path: str = "docs/guide.md") -> Chunk:
    return Chunk(path, "markdown", "section", name, body, (3, 9), scope=scope, body=body, license="MIT")


def rows(*chunks: Chunk) -> list[Made | Unfit]:
    return list(make(Material("cobra", (), chunks, NO_CHUNKS)))


def reason(body: str, name: str = "Groups of commands", path: str = "docs/guide.md") -> str:
    (unfit,) = rows(section(name, body, path=path))
    assert isinstance(unfit, Unfit), unfit
    return unfit.reason


def test_golden() -> None:
    (made,) = rows(section("Creating a group", PROSE))
    assert made == Made(made.messages, "docs/guide.md", (3, 9), "MIT")
    assert isinstance(made, Made)
    assert [(turn.role, turn.content) for turn in made.messages] == [
        ("user", "Guide (cobra): how do I create a group?"),
        ("assistant", PROSE),
    ]


@pytest.mark.parametrize(
    ("heading", "pattern"),
    [
        ("Installing the library", r"install the library"),
        ("2.1 Create a command", r"create a command"),
        ("How to add flags", r"How (?:do|can) I add flags|how do I add flags"),
        ("Why is it slow?", r"^Why is it slow \(Guide \(cobra\)\)\?$"),
        ("`Command.Execute()`", r"`Command\.Execute\(\)`"),
        ("Event: 'close'", r"the event `close`"),
        ("Class: `http.Agent`", r"the class `http\.Agent`"),
        ("Parameters", r"parameters (?:of|does) Guide|does Guide \(cobra\) take"),
        ("Installation", r"(?i)install.*Guide|Guide.*installed"),
        ("Persistent flags", r"Persistent flags.*Guide \(cobra\)|Guide \(cobra\).*Persistent flags"),
        ("What cobra does", r"^Explain what cobra does \(Guide \(cobra\)\)\.$"),
        ("When to use groups", r"^Explain when to use groups"),
        ("How are flags parsed", r"^How are flags parsed \(Guide \(cobra\)\)\?$"),
        ("GitHub", r"(?<!`)GitHub(?!`)"),
        ("ERR_SOCKET_CLOSED", r"`ERR_SOCKET_CLOSED`"),
        ("new Agent([options])", r"`new Agent\(\[options\]\)`"),
        ("CONFIGURATION FILES", r"Configuration files"),
        ("🚀 Completions ¶", r"Completions"),
    ],
)
def test_questions(heading: str, pattern: str) -> None:
    for key in "abcdef":
        asked = question(heading, ["Guide"], "cobra", key)
        assert asked is not None
        assert re.search(pattern, asked), asked
        assert asked[-1] in "?."


@pytest.mark.parametrize(
    "heading", ["Table of Contents", "Changelog", "v1.2.3", "[1.0.0] - 2024-01-02", "License", "See also", "###", "2024-05-01"]
)
def test_headings_without_a_subject(heading: str) -> None:
    assert question(heading, ["Guide"], "cobra", "key") is None


def test_a_heading_that_names_no_thing_is_passed_over() -> None:
    asked = question("Getters", ["In the main script", "Snapshots"], "cobra", "key")
    assert asked is not None
    assert "Snapshots (cobra)" in asked


def test_the_wording_hangs_on_the_place_alone() -> None:
    assert question("Flags", ["Guide"], "cobra", "one") == question("Flags", ["Guide"], "cobra", "one")
    assert len({question("Flags", ["Guide"], "cobra", str(number)) for number in range(30)}) > 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Too few words.", "too_short"),
        (f"TODO. {PROSE}", "unfinished"),
        (f"However, {PROSE}", "loose_start"),
        (f"{PROSE}\n\n```go\nrun()\n", "unbalanced_fence"),
        ("Permission is hereby granted, free of charge, to any person. " + PROSE, "license_text"),
        (
            "- fix the parser of flags (#123)\n- add a command by @alice (#124)\n- remove the old flag set of groups (#125)\n" + PROSE,
            "changelog",
        ),
        ("word " * 700, "too_long"),
        ("one two three four five six " * 5, "no_sentence"),
        (PROSE + "\n\ndef run(a):\n    return a", "code_without_fence"),
    ],
)
def test_what_is_turned_down(body: str, expected: str) -> None:
    assert reason(body) == expected


def test_a_section_of_code_alone_is_told_what_would_make_it_a_row() -> None:
    (unfit,) = rows(section("Creating a group", "```go\ngroup.Add(command)\n```"))
    assert isinstance(unfit, Unfit)
    assert unfit.detail.startswith("0 words of prose are left without code")
    assert unfit.detail.endswith("a few sentences under the heading on what it shows would make it a row")


def test_documents_that_are_none() -> None:
    assert reason(PROSE, path="CHANGELOG.md") == "no_documentation"
    assert reason(PROSE, path="docs/LICENSE.md") == "no_documentation"


def test_a_table_of_contents_is_no_answer() -> None:
    body = "This page has these parts, and each of them stands on its own feet so that you can begin where you like to begin today.\n\n"
    chunks = [section(name, PROSE + f" It is about {name}.") for name in ("Flags", "Groups", "Help texts")]
    made = rows(section("Where things are", body + "- [Flags](#flags)\n- [Groups](#groups)\n- [Help texts](#help)"), *chunks)
    assert isinstance(made[0], Unfit)
    assert made[0].reason == "table_of_contents"


def test_an_answer_points_nowhere() -> None:
    pointers = "See below for more. For more information, see the [reference](reference.md)."
    assert answer(f"{PROSE} {pointers}\n\n![logo](a.png)\n\nThe next section shows flags.\n\nSuch as:") == PROSE


def test_a_name_in_lower_case_may_open_an_answer() -> None:
    assert answer(f"cobra makes programs. {PROSE}").startswith("cobra makes")
    assert answer(f"{PROSE} It is behind a place ((#place)).").endswith("behind a place.")


def test_links_become_their_text() -> None:
    text = answer(f"{PROSE} It calls [`Execute`](api.md#execute) of the `Buffer` (buffer.md#class-buffer) of (https://example.com/x).")
    assert text.endswith("It calls `Execute` of the `Buffer` of (https://example.com/x).")


def test_the_same_question_is_asked_once() -> None:
    made = rows(section("Groups", PROSE), section("Groups", PROSE + " More of it."))
    assert [type(row) for row in made] == [Made, Unfit] or made[0].messages[0] != made[1].messages[0]  # type: ignore[union-attr]


def test_a_long_section_ends_at_a_paragraph() -> None:
    paragraph = "Words" + " word" * 98 + " end."
    text = answer("\n\n".join([paragraph] * 10))
    assert len(text.split()) <= MAX_WORDS
    assert text.endswith("end.")
    assert text.count("\n\n") == 5


EXAMPLE = f"""{PROSE}

The function `AddCommand` adds a command to a group:

```go
root := &cobra.Command{{Use: "app"}}
root.AddCommand(child)
```

It may be called more than once.

A command belongs to one group."""


def test_an_example_has_its_sentence() -> None:
    made = rows(section("Adding commands", EXAMPLE))
    assert len(made) == 2
    assert isinstance(made[1], Made)
    assert made[1].messages[1].content == (
        'The function `AddCommand` adds a command to a group:\n\n```go\nroot := &cobra.Command{Use: "app"}\nroot.AddCommand(child)\n```'
    )
    assert re.search("code|example", made[1].messages[0].content)


PIECES = st.lists(
    st.sampled_from(
        [PROSE, "```go\nx := 1\n```", "- an item of a list", "See below.", "For example:", "| a | b |", "````md\n```\nx\n```\n````", "```"]
    ),
    max_size=8,
)


@given(PIECES)
def test_fences_of_an_answer_are_balanced(pieces: list[str]) -> None:
    try:
        text = answer("\n\n".join(pieces))
    except Unsuited:
        return
    opened = ""
    for line in text.split("\n"):
        mark = re.match(r"`{3,}", line)
        if mark and not opened:
            opened = mark[0]
        elif mark and line.strip() == mark[0] and len(mark[0]) >= len(opened):
            opened = ""
    assert not opened
    assert not text.rstrip().endswith(":")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("| stage | time |\n| --- | --- |\n| {% for stage in stages %} | {% endfor %} |\n\n" + PROSE, "template"),
        (PROSE + "\n\n$ git subtree add --prefix=a b", "code_without_fence"),
        (PROSE + "\n\nblkid_cache cache = NULL;\nif (blkid_get_cache(&cache, NULL) < 0)", "code_without_fence"),
        (PROSE + " Documentation will be added later.", "unfinished"),
        ("# The set of versions.\n" + "\n".join(f"package-{number}==1.{number}" for number in range(20)), "data"),
    ],
)
def test_marks_of_templates_and_bare_code_are_turned_down(text: str, expected: str) -> None:
    assert reason(text) == expected


def test_a_table_of_versions_is_left_out() -> None:
    assert answer(f"History\n\n| Version | Changes |\n| --- | --- |\n| v8 | Added. |\n\n{PROSE}") == PROSE


def test_a_folder_called_doc_is_no_name_of_what_is_documented() -> None:
    chunk = section("Creating a group", PROSE, scope="", path="pip/guide.md")
    (made,) = make(Material("doc", (), (chunk,), NO_CHUNKS))
    assert isinstance(made, Made)
    assert "pip" in made.messages[0].content
    assert "doc" not in made.messages[0].content


def test_a_heading_that_points_above_names_what_it_speaks_of() -> None:
    assert question("What is in it", ["Starter"], "shop", "a") == "Starter (shop): what is in it?"
    assert question("What is in it", [], "shop", "a") is None
    assert question("Release notes for Valgrind", [], "shop", "a") is None


def test_what_a_test_compares_with_is_no_documentation() -> None:
    assert reason(PROSE, path="tests/golden/report.md") == "no_documentation"


def test_a_question_needs_fewer_words_than_a_heading() -> None:
    body = "Hold the knob for ten seconds until the light turns red, then let go of it and wait for the second tone to come."
    [made] = rows(section("How do I reset it?", body))
    assert isinstance(made, Made)
    assert made.messages[1].content == body
    assert reason(body, "Resetting the machine") == "too_short"
    assert reason("Hold the knob for ten seconds.", "How do I reset it?") == "too_short"


def test_a_section_that_begins_with_code_for_want_of_its_lead_is_no_answer() -> None:
    assert reason(f"As shown above:\n\n```go\nx := 1\n```\n\n{PROSE}") == "loose_start"


def test_the_name_of_a_folder_is_no_product() -> None:
    chunks = (
        section("Installing", PROSE, scope="Kettle guide", path="a.md"),
        section("Cleaning the pot", PROSE, scope="Pouring", path="b.md"),
        section("Installing", PROSE, scope="", path="c.md"),
    )
    made = list(make(Material("docs", (), chunks, NO_CHUNKS)))
    asked = [one.messages[0].content for one in made if isinstance(one, Made)]
    assert len(asked) == 2
    assert all("docs)" not in one and "in docs" not in one and "Pouring" not in one for one in asked)
    assert "Kettle" in asked[0]
    assert "guide" not in asked[0]


def test_what_a_tool_prints_of_its_options_is_no_section() -> None:
    body = "Usage: tar [OPTION...] [FILE]...\n\n" + "".join(f"  -{letter}, --{letter}{letter}  {PROSE[:40]}\n" for letter in "abcdef")
    (found,) = rows(section("tar", body))
    assert isinstance(found, Unfit)
    assert found.reason == "help_text"


def test_a_lead_at_the_end_of_a_lists_last_item_is_cut() -> None:
    body = f"- {PROSE}\n- Streams are one kind. They are combined by one set of functions. For example:"
    assert answer(body).endswith("They are combined by one set of functions.")


def test_numbered_items_stay_together() -> None:
    body = f"{PROSE}\n\n1. Apply the change, as described above.\n2. Summarise what is left to do."
    assert "1. Apply the change" in answer(body)


@pytest.mark.parametrize(
    ("heading", "pattern"),
    [
        ("> pack(spec, [opts]) -> Promise", r"`pack\(spec, \[opts\]\)`"),
        ("Pool.destroy([error, callback]): Promise", r"`Pool\.destroy\(\[error, callback\]\)`"),
        ("About Responses", r"^(?!.*About Responses).*Responses"),
        ("Example 2 - Aborting a request", r"^(?!.*Example 2).*Aborting a request"),
        ("How to Implement Custom Types", r"(?:How (?:do|can)|how do) I implement Custom Types"),
        ("Answer", r"^(?:What can be done about|How do I deal with|What helps against) Guide \(cobra\)\?$"),
    ],
)
def test_headings_as_pages_write_them(heading: str, pattern: str) -> None:
    for key in "abcdef":
        asked = question(heading, ["Guide"], "cobra", key)
        assert asked is not None
        assert re.search(pattern, asked), asked


def test_something_is_done_with_a_product_and_not_with_a_page() -> None:
    assert not [key for key in "abcdefghijkl" if " with Guide" in str(question("Adding commands", ["Guide"], "cobra", key))]
    assert [key for key in "abcdefghijkl" if " with cobra" in str(question("Adding commands", [], "cobra", key))]


def test_a_motto_behind_a_products_name_is_no_part_of_it() -> None:
    asked = question("Usage", ["node-gyp - Node.js native addon build tool"], "node", "a")
    assert asked is not None
    assert "node-gyp" in asked
    assert "addon" not in asked


def test_headings_that_say_too_little_are_passed_over() -> None:
    assert question("Tutorial", [], "cobra", "a") is None
    assert question("What if I don't want that?", [], "cobra", "a") is None
    assert question("Basic Example", [], "cobra", "a") is None
    assert question("Basic Example", ["Options"], "cobra", "a") is None
    assert "Groups" in str(question("Basic Example", ["Groups"], "cobra", "a"))
    assert "General" not in str(question("Names", ["General", "Groups"], "cobra", "a"))
    assert str(question("What if I don't want that?", ["Groups"], "cobra", "a")).startswith("Groups (cobra): what if")


@pytest.mark.parametrize(
    "lead",
    [
        "Imagine a command like this:",
        "Alternatively, a command may be built like this:",
        "This allows a command to be added:",
        "It is good to know that the system works this way anyway.",
    ],
)
def test_a_sentence_that_leads_elsewhere_gives_no_example(lead: str) -> None:
    assert len(rows(section("Adding commands", EXAMPLE.replace("The function `AddCommand` adds a command to a group:", lead)))) == 1


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (f"{PROSE}\n\nSee also:\n\n- /server for what runs\n- /cli", PROSE),
        (f"{PROSE}\n\n- https://example.com/a\n- https://example.com/b", PROSE),
        (f"{PROSE}\n\nAnd what it looks like in a terminal:\n\nA group may hold groups.", f"{PROSE}\n\nA group may hold groups."),
        (f"{PROSE}\n\n- One option. For more see option-names.\n- Two options.", f"{PROSE}\n\n- One option.\n- Two options."),
        (f"{PROSE} For some better examples, see patterns/uploads.", PROSE),
        (f"{PROSE} The decorator you wrote earlier is used here. Earlier, it was turned off.", PROSE),
        (f'{PROSE} The "add" task above takes two numbers.', PROSE),
        (f"{PROSE}\n\n- One option.\n  See below for more on it.\n- Two options.", f"{PROSE}\n\n- One option.\n- Two options."),
        (f"{PROSE} See the next section. While this is simple, it is slow. Options are free.", f"{PROSE} Options are free."),
        (f"{PROSE} This brings us to the next point.", PROSE),
        (f"{PROSE} Fetch the task we started above.", PROSE),
        (f"{PROSE} Take the id we returned before.", PROSE),
        (f"{PROSE} It wants the techniques you learned about.", PROSE),
        (f"{PROSE} Here is a brief overview of how it works.", PROSE),
        (f"{PROSE} There are four very common ways to use it.", PROSE),
        (f"{PROSE} To make it into any of the lists above, be free.", PROSE),
        (f"Click has to reopen its streams. {PROSE}", f"Click has to reopen its streams. {PROSE}"),
    ],
)
def test_what_only_points_elsewhere_goes(body: str, left: str) -> None:
    assert answer(body) == left


@pytest.mark.parametrize(
    ("path", "text", "is_generated"),
    [
        ("docs/generated/run.md", PROSE, True),
        ("docs/run.md", f"# Run\n\n{PROSE}\n\n###### Auto generated by spf13/cobra on 24-Nov-2015\n", True),
        ("docs/run.md", f"<!-- This file is generated by `make docs`. -->\n\n# Run\n\n{PROSE}\n", True),
        ("docs/keys.md", f"# Auto-generated keys\n\nGenerated by hand or not, a key is made once.\n\n{PROSE}\n", False),
    ],
)
def test_pages_that_a_program_writes_are_left_out(path: str, text: str, is_generated: bool) -> None:
    file = SourceFile(path, "markdown", text, "MIT")
    (row,) = make(Material("cobra", (file,), (section("Creating a group", PROSE, path=path),), NO_CHUNKS))
    assert (isinstance(row, Unfit) and row.reason == "generated_document") is is_generated
