"""Rows of tools: requests that name every value of their command, what is turned down, and the options of manuals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.commands import make
from luthier.data.synthesize.option_entries import entries
from luthier.guard.shell import parse
from luthier.retrieval.records import Chunk, CommandHelp
from maker_parts import NO_CHUNKS

EMPTY = Material("tools", (), (), NO_CHUNKS)


def rows(*commands: tuple[str, str, str]) -> list[Made | Unfit]:
    helps = tuple(CommandHelp(tool, task, command, f"{tool}.md", line) for line, (tool, task, command) in enumerate(commands, 1))
    return list(make(replace(EMPTY, commands=helps)))


def row(tool: str, task: str, command: str) -> tuple[str, str]:
    (made,) = rows((tool, task, command))
    assert isinstance(made, Made), made
    return made.messages[0].content, made.messages[1].content


def test_golden() -> None:
    assert row("gzip", "Compress a file, replacing it with a `gzip` archive", "gzip {{path/to/file}}") == (
        "Compress notes.txt, replacing it with a `gzip` archive.",
        "gzip notes.txt",
    )
    assert row("git-merge", "Merge a branch into your current branch", "git merge {{branch_name}}") == (
        "How do I merge the branch develop into your current branch with git?",
        "git merge develop",
    )


@pytest.mark.parametrize(
    ("tool", "task", "command"),
    [
        ("tar", "[c]reate an archive and write it to a [f]ile", "tar cf {{path/to/target.tar}} {{path/to/file1 path/to/file2 ...}}"),
        ("scp", "Copy a local file to a remote host", "scp {{path/to/local_file}} {{remote_host}}:{{path/to/remote_file}}"),
        ("head", "Output the first few lines of a file", "head {{[-n|--lines]}} {{count}} {{path/to/file}}"),
        ("convert", "Convert an image from JPEG to PNG", "convert {{path/to/input.jpg}} {{path/to/output.png}}"),
        ("ping", "Ping a specific host", "ping {{host}}"),
        ("npm", "Install a package", "npm install {{package_name}}"),
    ],
)
def test_every_value_of_the_command_stands_in_the_request(tool: str, task: str, command: str) -> None:
    request, answer = row(tool, task, command)
    assert parse(answer) is not None
    literal = set(command.replace("{{[-n|--lines]}}", "-n --lines").split())
    for word in answer.replace(":", " ").split()[1:]:
        assert word in request or word in literal, (word, request)


def test_letters_marked_in_the_task_are_words() -> None:
    request, _ = row(
        "tar", "E[x]tract a compressed archive [f]ile into the current directory [v]erbosely", "tar xvf {{path/to/source.tar}}"
    )
    assert "[" not in request
    assert "extract" in request.lower()
    assert "verbosely" in request


def test_a_task_of_two_tools_names_its_own() -> None:
    made = rows(("docker", "List running containers", "docker ps"), ("podman", "List running containers", "podman ps"))
    assert ["docker" in made[0].messages[0].content, "podman" in made[1].messages[0].content] == [True, True]


@pytest.mark.parametrize(
    ("tool", "task", "command", "reason"),
    [
        ("ls", "Display help", "ls --help", "trivial"),
        ("glibtoolize", "View documentation for the original command", "tldr libtoolize", "trivial"),
        ("vim", "[Interactive] Save and quit", ":wq<Enter>", "not_a_command"),
        ("ssh", "Close a hanged session", "<Enter><~><.>", "not_a_command"),
        ("mysql", "Log in with a password", "mysql --password {{password}}", "secret_value"),
        ("dstat", "Display statistics every few seconds", "dstat {{5}} {{4}}", "value_without_name"),
        ("git", "You can do this", "git status", "vague_task"),
        ("git", "Status", "git status", "vague_task"),
        ("x", "Do an unusual thing", "x '{{path/to/file}}", "unparsable_command"),
        ("x", "Set five things", "x {{host}} {{port}} {{user}} {{branch}} {{tag}}", "too_many_values"),
    ],
)
def test_what_is_turned_down(tool: str, task: str, command: str, reason: str) -> None:
    (unfit,) = rows((tool, task, command))
    assert isinstance(unfit, Unfit)
    assert unfit.reason == reason


def test_a_sentence_of_a_manual_becomes_a_task() -> None:
    request, answer = row(
        "git", "To add a new proxy, without altering any of the existing ones, use", "git config --add core.gitproxy proxy"
    )
    assert "add a new proxy, without altering any of the existing ones" in request.lower()
    assert not request.rstrip("?.").endswith("use")
    assert answer == "git config --add core.gitproxy proxy"
    assert "show all commits" in row("git", "Shows all commits of a branch", "git log main")[0].lower()


OPTIONS = """-a, --all
  Do not ignore entries starting with a dot.

-c
  Short.

--block-size=SIZE
  Scale sizes by SIZE before printing them; for example:

  ```
  ls --block-size=M
  ```

  prints sizes in units of megabytes."""


def test_options_of_a_manual() -> None:
    chunk = Chunk("man1/ls.1", "roff", "section", "OPTIONS", OPTIONS, (10, 30), body=OPTIONS)
    found = list(make(replace(EMPTY, chunks=(chunk,))))
    assert [type(one) for one in found] == [Made, Unfit, Made]
    assert isinstance(found[0], Made)
    assert isinstance(found[2], Made)
    assert "--all" in found[0].messages[0].content
    assert "ls" in found[0].messages[0].content
    assert found[0].messages[1].content == "`-a, --all`: Do not ignore entries starting with a dot."
    assert found[2].messages[1].content == (
        "`--block-size=SIZE`: Scale sizes by SIZE before printing them; for example:\n\n"
        "```\nls --block-size=M\n```\n\nprints sizes in units of megabytes."
    )


def test_entries_end_where_the_margin_does() -> None:
    text = "-v\n  Says what is done.\n\nFurther words at the margin.\n\n-q\n  Says nothing at all."
    assert [(entry.names, entry.text) for entry in entries(text)] == [(("-v",), "Says what is done."), (("-q",), "Says nothing at all.")]


def test_a_placeholder_named_in_the_task_is_replaced_there() -> None:
    request, answer = row("jest", "Run the tests whose names match the given `regex`", "jest --testNamePattern '{{regex}}'")
    assert f"the given regex {answer.split(chr(39))[1]}" in request


@pytest.mark.parametrize("task", ["Works like `git push origin`", "Push to <remote> at once"])
def test_what_tells_of_a_command_is_no_task(task: str) -> None:
    (unfit,) = rows(("git-push", task, "git push"))
    assert isinstance(unfit, Unfit)
    assert unfit.reason == "vague_task"


def test_an_option_is_asked_for_by_a_name_that_one_place_tells_of() -> None:
    text = (
        "-p, --style=slash\n  Append a slash to the names of directories.\n\n--style=WORD\n  Append what the word says to each name.\n\n"
        "--stash, --no-stash\n  Keep what is open before the work begins.\n\n--bare\n  Takes the patterns as bare ones (bare, see below)."
    )
    chunk = Chunk("man1/ls.1", "roff", "section", "OPTIONS", text, (10, 30), body=text)
    found = list(make(replace(EMPTY, chunks=(chunk,))))
    asked = [one.messages[0].content for one in found if isinstance(one, Made)]
    assert len(asked) == 2
    assert "-p" in asked[0]
    assert "--style" not in asked[0]
    assert "--stash" in asked[1]
    assert [one.reason for one in found if isinstance(one, Unfit)] == ["told_twice", "pointer_only"]
