"""How a call is taken apart by what is known of its program."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from luthier.guard.risk import facts
from luthier.guard.risk.facts import UNSAID, Argument, Call, Program, read_call, spec_of, versionless
from luthier.guard.risk.roles import roles_of


def call_of(text: str) -> Call:
    words = text.split()
    return read_call(words[0], [Argument(word, 0, 0) for word in words[1:]])


def options(call: Call) -> list[tuple[str, str | None]]:
    return [(option.name, option.value.text if option.value else None) for option in call.options]


@pytest.mark.parametrize(
    ("text", "expected", "operands"),
    [
        ("rm -rf x", [("-r", None), ("-f", None), ("-rf", None)], ["x"]),
        ("rm -- -x", [], ["-x"]),
        ("tar xzf a.tgz", [("-x", None), ("-z", None), ("-f", "a.tgz")], []),
        ("tar -C/etc -x", [("-C", "/etc"), ("-x", None)], []),
        ("tar --file=a b", [("--file", "a")], ["b"]),
        ("tar --file a b", [("--file", "a")], ["b"]),
        ("chmod -x f", [], ["-x", "f"]),
        ("chmod -R -rwx d", [("-R", None)], ["-rwx", "d"]),
        ("chattr -i f", [], ["-i", "f"]),
        ("mysql -psecret db", [("-p", "secret")], ["db"]),
        ("mysql -p db", [("-p", None)], ["db"]),
        ("find . -name x", [("-name", "x")], ["."]),
        ("xargs -n", [("-n", None)], []),
    ],
)
def test_options_and_operands(text: str, expected: list[tuple[str, str | None]], operands: list[str]) -> None:
    call = call_of(text)
    assert options(call) == expected
    assert [operand.text for operand in call.operands] == operands


def test_subcommands_and_what_stands_before_them() -> None:
    call = call_of("git -C repo push --force origin main")
    assert options(call) == [("-C", "repo"), ("--force", None)]
    assert [operand.text for operand in call.operands] == ["push", "origin", "main"]
    assert [operand.text for operand in call.own_operands()] == ["origin", "main"]
    assert call_of("docker container rm x").first == 2


def test_a_wrapper_leaves_the_rest_alone() -> None:
    call = call_of("timeout -k 5 10 rm -rf x")
    assert [operand.text for operand in call.operands] == ["10"]
    assert [word.text for word in call.rest] == ["rm", "-rf", "x"]
    assert [word.text for word in call_of("env A=1 B=2 ls -l").rest] == ["ls", "-l"]
    assert [word.text for word in call_of("nice -n 5 -- ls -l").rest] == ["ls", "-l"]


def test_a_long_option_may_be_cut_short_but_not_at_a_hyphen() -> None:
    assert call_of("rm --recurs x").has(spec_of("--recursive"))
    assert not call_of("pip install --extra x").has(spec_of("--extra-index-url"))
    assert not call_of("rm -r x").has(spec_of("--recursive"))


def test_a_value_is_matched_as_a_glob_in_any_case() -> None:
    call = call_of("curl -X delete u")
    assert call.has(spec_of("-X=DELETE"))
    assert call.has(spec_of("-X=DEL*"))
    assert not call.has(spec_of("-X=GET"))
    assert not call.has(spec_of("-X=\\*"))


@pytest.mark.parametrize(
    ("roles", "count", "expected"),
    [
        (("read...", "write"), 3, ["read", "read", "write"]),
        (("read...", "write"), 2, ["read", "write"]),
        (("read...", "write"), 1, ["read"]),
        (("text", "read..."), 3, ["text", "read", "read"]),
        (("text", "read..."), 1, ["text"]),
        (("write",), 2, ["write", UNSAID]),
        ((), 1, [UNSAID]),
        (("read...",), 0, []),
    ],
)
def test_roles_by_place(roles: tuple[str, ...], count: int, expected: list[str]) -> None:
    assert Program("x", operands=roles).roles(count) == expected


def roles(text: str) -> list[tuple[str, str]]:
    return [(role, argument.text) for role, argument in roles_of(call_of(text))]


def test_options_change_the_roles() -> None:
    assert roles("grep word f") == [("text", "word"), ("read", "f")]
    assert ("read", "f") in roles("grep -e word f")
    assert ("write", "f") in roles("sed -i s/a/b/ f")
    assert ("move", "f") in roles("zip -m a.zip f")
    assert ("read", "f") in roles("zip a.zip f")
    assert roles("dd if=a of=b") == [("read", "a"), ("write", "b")]
    assert ("code:vim", "wq") in roles("vim +wq f")
    assert ("mount", "/x:/y") in roles("docker run -v /x:/y i")
    assert call_of("rm -R x").is_tree()
    assert not call_of("rm -f x").is_tree()


def test_versions_are_left_off() -> None:
    assert versionless("python3.99") == "python"
    assert versionless("gcc-13") == "gcc"
    assert versionless("7z") == "7z"
    assert versionless("nobody-knows-2") == "nobody-knows-2"
    assert versionless("gcc-13", {"gcc-13"}) == "gcc-13"


def test_a_word_with_a_dash_may_be_an_operand(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**facts.programs(), "chmod": replace(facts.programs()["chmod"], words=re.compile("never"))}
    monkeypatch.setattr(facts, "programs", lambda: known)
    assert [operand.text for operand in call_of("chmod -x f").operands] == ["f"]
