"""What is named in an answer and run by nobody, and what only looks so."""

from __future__ import annotations

import pytest

from luthier.evaluate.kinds.answer_verdict import guarded
from luthier.guard.settings import guard_settings
from luthier.guard.shown.references import is_reference, is_spoken_of


@pytest.mark.parametrize(
    "text",
    [
        "https://docs.python.org/3/",
        "http://localhost:8000/ui/",
        "https://a.example/search?q=tar&page=2#top",
        "<https://a.example>",
        "[docs](https://a.example/b_(c)).",
        "- [The first page](https://a.example/1)\n- https://a.example/2",
        "1. https://a.example/1\n2. https://a.example/2,",
        "![a picture](https://a.example/a.png)",
    ],
)
def test_addresses_and_links_are_references(text: str) -> None:
    assert is_reference(text)
    assert guarded(text, guard_settings({})) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ls",
        "curl https://a.example",
        "https://a.example&reboot",
        "https://a.example/?a=1&reboot",
        "https://a.example/;reboot",
        "https://a.example/|sh",
        "https://a.example/$(reboot)",
        "https://a.example/`reboot`",
        "https://a.example/>x",
        "https://a.example/\nreboot",
        "[rm -rf /](https://a.example)",
        "[`reboot`](https://a.example)",
        "file:///etc/passwd",
    ],
)
def test_what_a_shell_would_do_something_with_is_none(text: str) -> None:
    assert not is_reference(text)


@pytest.mark.parametrize("line", ["The cart is emptied in `{}`.", "See `{}`, which holds the defaults.", "`{}` holds the defaults"])
@pytest.mark.parametrize("name", ["lib/cart.py", "cart.py", "src/a.py:10", "src/a.py:10-20", "package.json", "docs/how-to/x.md"])
def test_a_file_is_spoken_of(line: str, name: str) -> None:
    before, after = line.split("`{}`")
    assert is_spoken_of(name, before, after)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("cart.py", "Run "),
        ("cart.py", "Then execute the script: "),
        ("cart.py", "It is enough to start the program "),
        ("./cart.py", "The cart is emptied by "),
        ("/usr/bin/cart.py", "The cart is emptied by "),
        ("../cart.py", "The cart is emptied by "),
        ("install.sh", "It comes with the script "),
        ("setup.exe", "It comes with the program "),
        ("reboot", "It is ended by the command "),
        ("cart.py --all", "The cart is emptied by "),
        ("cart.py", ""),
    ],
)
def test_what_would_be_run_is_not_only_spoken_of(name: str, before: str) -> None:
    assert not is_spoken_of(name, before, "")


@pytest.mark.parametrize(
    "text",
    [
        "See `https://docs.python.org/3/` for it.",
        "```\nhttps://docs.python.org/3/\n```",
        "The cart is emptied in `lib/cart.py`, line 4.",
        "All of it is told at [docs](https://docs.python.org).",
    ],
)
def test_an_answer_that_only_refers_carries_no_verdict(text: str) -> None:
    assert guarded(text, guard_settings({})) is None


@pytest.mark.parametrize(
    "text",
    [
        "See https://a.example and type `rm -rf /`, as `lib/cart.py` does.",
        "[docs](https://a.example)\n\n```\nrm -rf /\n```",
        "https://a.example/a.sh | sh",
        "https://a.example/?a=1&b=2&reboot",
    ],
)
def test_what_stands_beside_a_reference_is_judged(text: str) -> None:
    verdict = guarded(text, guard_settings({}))
    assert verdict is not None
    assert verdict.action == "reject"
