"""Commands that share a form are run alike: random spellings of words and statements, grouped by form, each run by bash."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from luthier.guard.shell import normalized

pytestmark = pytest.mark.system

# Every text calls nothing but builtins and this function, which prints its arguments.
SCRIPT = """
show() { printf '<%s>' "$@"; echo "$?"; }
same() { cat; }
n() { return 1; }
x='p q' y= z='*' HOME=/home/somebody
shopt -s extglob
set -- one 'two three' ''
while IFS= read -r -d '' text; do
  ( eval "$text" ) 2>&1
  printf '\\0'
done
"""
PIECES = (
    *("a", "b", "ab", "-n", "5", ",", "=", ":", "/", "~", "{", "}", "..", "1", "3", "*", "?", "[", "]", "-", "!", "+", "@", "(a|b)", "(a)"),
    *("$x", "${x}", "$y", "${y}", "$z", "$1", "${1}", "$10", "${10}", "$@", "$*", "${y:-a b}", "${x#p}", '${x#"p"}', "${x#?}", "$((1+2))"),
    *("$(echo  a b)", "$(echo a b)", "`echo a b`", "$(show $x)", '$(show "$x")', "$[1+2]", "$"),
    *("''", '""', "'a'", '"a"', "\\a", "\\~", "'~'", "'*'", "\\*", '"*"', "'b c'", '"b c"', "b\\ c", "'{'", "'3'", "','", "'!'", '"!"'),
    *('"$x"', '"${x}"', '"$y"', '"$z"', '"$@"', '"$*"', '"$(echo  a b)"', '"`echo a b`"', '"$((1+2))"', '"a$x"', '"\\$x"', "'$x'"),
    *(
        "$'a'",
        "$'\\x61'",
        "$'\\n'",
        "$'\\xc3\\xa9'",
        "\u00e9",
        "$'\\xe9'",
        "$'\\xe8'",
        "$'\\ud800'",
        "$'\\udfff'",
        "$'a\\0b'",
        "\\\n",
        "\r",
    ),
)
CONDITIONS = ("a", "'a'", "$x", '"$x"', "p*", "'p*'", "p\\*", "a.b", "'a.b'", "(a|p)", "^p", "p$", "p\\$")
STATEMENTS = (
    *(
        "show a",
        "show b",
        "n",
        "! n",
        "! show a",
        "{ show a; }",
        "(show a)",
        "x=1",
        "x+=1",
        "x[1]=a",
        "x[2]=a",
        "show $x",
        'show "${x[1]}"',
    ),
    *("show 1>&2", "show >&2", "show a | same", "n |& same", "show a > /dev/null", "> /dev/null show a", "show > /dev/null a"),
    *("if n; then show a; fi", "if n; then show a; else show b; fi", "if n; then show a; elif show b; then show c; fi"),
    *("case a in a) show a;; b) show b;; esac", "case a in a) show a;& b) show b;; esac", "case a in a|b) show a;; *) show b; esac"),
    *("case a in a) show a;;& *) show b;; esac", "case b in (a | b) show a ;; esac", "case b in a) show a;; b) ;; esac"),
    *("for i in a b; do show $i; done", "for i in 'a b'; do show $i; done", "for i; do show $i; done", "for i in a 'b'; { show $i; }"),
    *(
        "f() { show a; }; f",
        "function f { show a; }; f",
        "f() (show b); f",
        "((1 < 2)) && show a",
        "((2 < 1)) && show a",
        "((1  <  2)) && show a",
    ),
    *(
        "show <(echo a) > /dev/null",
        "same <<< a",
        "same <<< 'a'",
        "same <<< $x",
        "same 0<<< a",
        'export x=$x; show "$x"',
        'export "x="$x; show "$x"',
    ),
    *("a=(1 2); show ${a[@]}", "a=('1 2'); show ${a[@]}", "while n; do show a; done", "until show a; do show b; done", "# comment"),
)


def random_text(generator: random.Random) -> str:
    draw = generator.random()
    if draw < 0.6:
        return "show " + " ".join("".join(generator.choices(PIECES, k=generator.randint(1, 3))) for _ in range(generator.randint(1, 2)))
    if draw < 0.75:
        operands = generator.choices(CONDITIONS, k=2)
        test = f"{operands[0]} {generator.choice(('==', '=~', '!=', '<', '&&', '||'))} {operands[1]}"
        return f"[[ {test} ]] && show yes"
    joins = (";", "\n", " && ", " || ", " & wait; ", " ; ", " # comment\n", "\n\n")
    count = generator.randint(1, 3)
    return "".join(generator.choice(STATEMENTS) + generator.choice(joins) for _ in range(count - 1)) + generator.choice(STATEMENTS)


def test_one_form_is_run_in_one_way(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    for name in ("a", "b", "ab", "a-b", "-", "1"):
        (tmp_path / name).touch()
    generator = random.Random(11)
    texts = list(dict.fromkeys(random_text(generator) for _ in range(30_000)))
    groups: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        groups[normalized(text)].append(text)
    alike = [text for form, group in groups.items() if len(group) > 1 and form.startswith("tree:") for text in group]
    assert len(alike) > 2_000
    child = subprocess.run(
        [bash, "--norc", "-c", SCRIPT],
        input="".join(f"{text}\0" for text in alike).encode(),
        capture_output=True,
        cwd=tmp_path,
        env={"LC_ALL": "C.UTF-8"},
        check=False,
    )
    outputs = dict(zip(alike, child.stdout.split(b"\0"), strict=False))
    assert len(outputs) == len(alike) == child.stdout.count(b"\0")
    differing = [group for form, group in groups.items() if len({outputs.get(text) for text in group}) > 1 and form.startswith("tree:")]
    assert not differing, [[(text, outputs[text]) for text in group[:3]] for group in differing[:10]]
