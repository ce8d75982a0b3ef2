"""The shell's grammar: what bash reads is read alike, what it refuses is refused, and no text costs more than linear time."""

from __future__ import annotations

import contextlib
import gc
import random
import shutil
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.guard.syntax.nodes import Arithmetic, Compound, Process, ShellSyntaxError, Simple, Substitution, Text, Variable, Word
from luthier.guard.syntax.parser import parse

VALID = [
    "ls -la",
    "a && b || c; d & e",
    "a | b |& c",
    "! time -p a",
    "x=1 y+=2 z[3]=4 cmd",
    "a=(1 2 3)",
    "declare -A m=([a]=1 [b]=2)",
    "if a; then b; elif c; then d; else e; fi",
    "while a; do b; done < in > out",
    "until a; do b; done",
    "for x in 1 2 3; do echo $x; done",
    "for x; do echo $x; done",
    "for ((i=0; i<3; i++)); do echo $i; done",
    "for ((;;)) { a; }",
    "select x in a b; do echo $x; done",
    "case $x in a|b) c ;; (d) e ;& *) f ;; esac",
    "case $x in esac",
    "f() { a; }",
    "function f { a; } > out",
    "function f() ( a )",
    "(a; b) 2>&1",
    "{ a; b; }",
    "((x + 1))",
    "[[ $a == b* && ! -f c || ( $d =~ ^(e|f)$ ) ]]",
    "[[ a < b ]]",
    "coproc NAME { a; }",
    "cat <<E\nx $y `z` $(w)\nE",
    "cat <<-'E' | sort\n\t$x\n\tE\nnext",
    "cat <<A <<B\na\nA\nb\nB",
    "cat <<<word",
    "diff <(a) <(b) > >(c)",
    "echo ${x} ${x:-y} ${x:=y} ${x:?y} ${x:+y} ${#x} ${x#y} ${x##y} ${x%y} ${x%%y} ${x/a/b} ${x//a/b} ${x^^} ${x,,}",
    "echo ${x:1:2} ${!x} ${x[@]} ${#x[@]}",
    "echo ${!x[@]} ${x@Q}",
    "echo $((1 + (2 * 3))) $[1+2]",
    'echo $(a $(b `c`)) "$(d "e")"',
    "echo $'a\\'b' $\"c\"",
    "echo a\\\nb",
    "echo !(a|b) @(c)",
    "a &> b &>> c >| d <> e 3>&1 2>&- {fd}> f",
    "> out",
    "echo # comment",
    "a; # comment\nb",
    "echo } ] { done",
    "",
    "   \n\n",
    "time",
]
INVALID = [
    "(",
    ")",
    "a )",
    "if a; then b",
    "if a; fi",
    "for",
    "for x in a; do b",
    "case x in a) b",
    "while a; do done",
    "echo 'a",
    'echo "a',
    "echo `a",
    "echo $(a",
    "echo ${x",
    "a |",
    "a &&",
    "| a",
    "&& a",
    "; a",
    "a ;; b",
    "cat <",
    "f() a",
    "{ a;",
    "[[ a",
    "done",
    "fi",
    "a ( b",
    "while a && do b; done",
    "a > 2>&1",
    "x=(a",
    "()",
]


@pytest.mark.parametrize("text", [text for text in VALID if text != "time"])
def test_what_bash_reads_is_read(text: str) -> None:
    assert bool(parse(text).pipelines) is bool(text.strip())


@pytest.mark.parametrize("text", INVALID)
def test_what_bash_refuses_is_refused(text: str) -> None:
    with pytest.raises(ShellSyntaxError) as error:
        parse(text)
    assert 0 <= error.value.position <= len(text) + 1


def bash_reads(text: str) -> bool:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    environment = {"LC_ALL": "C.UTF-8"}
    child = subprocess.run([bash, "--norc", "-O", "extglob", "-n"], input=text.encode(), capture_output=True, env=environment, check=False)
    return child.returncode == 0


@pytest.mark.parametrize(("text", "valid"), [(text, True) for text in VALID] + [(text, False) for text in INVALID])
def test_the_lists_are_what_bash_says(text: str, valid: bool) -> None:
    assert bash_reads(text) is valid


TOKENS = (
    *("if", "then", "else", "elif", "fi", "for", "x", "in", "do", "done", "while", "until", "case", "esac", ";;", "(", ")", "{", "}"),
    *("|", "||", "&&", ";", "&", "$x", "${x}", "$(a)", "`a`", "'q'", '"d"', "<f", ">f", "2>&1", "a=1", "a=(1)", "f()", "((", "))", "!"),
    *("b", "-n", "*", "\\", "{a,b}", "<<<w", "$((1+2))", "<(a)"),
)


def test_random_texts_are_read_as_bash_reads_them() -> None:
    """Few differences are known, all of them texts that bash refuses and this parser reads: they are judged, not missed."""
    generator = random.Random(20)
    texts = [" ".join(generator.choice(TOKENS) for _ in range(generator.randint(1, 6))) for _ in range(250)]
    refused = []
    for text in texts:
        try:
            parse(text)
        except ShellSyntaxError:
            refused.append(text)
    assert len(refused) > 50
    missed = [text for text in refused if bash_reads(text) and text.strip() != "!"]
    assert not missed


def only_command(text: str) -> Simple:
    command = parse(text).pipelines[0].commands[0]
    assert isinstance(command, Simple)
    return command


def only_word(text: str) -> Word:
    word = only_command(text).words[0]
    assert isinstance(word, Word)
    return word


def test_words_keep_their_parts_and_places() -> None:
    word = only_word("a'b'\"c$d\"$(e)$((1))<(f)")
    assert [type(part) for part in word.parts if not (isinstance(part, Text) and not part.text)] == [
        Text,
        Text,
        Text,
        Variable,
        Substitution,
        Arithmetic,
        Process,
    ]
    assert (word.start, word.end) == (0, 23)
    assert only_word("'rm'").parts == [Text("rm", True)]
    assert only_word("r\\m").parts == [Text("r", False), Text("m", True)]
    assert only_word("$'\\x72\\155\\u0020\\n'").parts == [Text("rm \n", True)]
    assert only_word("$'\\xc3\\xa9'").parts == [Text("\u00e9", True)]
    assert only_word("$'\\xc3'").parts == [Text("\ufffd", True, source="$'\\xc3'")]


@pytest.mark.parametrize(
    "inner",
    [
        "a\\x{41}b",
        "\\x{141}",
        "\\x{}a",
        "\\x{zb",
        "\\c?",
        "\\c\\\\a",
        "\\ca",
        "\\c\u00e9",
        "\\400a",
        "\\x",
        "\\u",
        "\\q",
        "\\c",
        "\\xC3\\xA9",
        "a\\'b",
        "\\e[0m",
        "\\101",
        "\\U1F600",
    ],
)
def test_escapes_stand_for_what_bash_makes_of_them(inner: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    environment = {"LC_ALL": "C.UTF-8"}
    said = subprocess.run([bash, "--norc", "-c", f"printf %s $'{inner}'"], capture_output=True, env=environment, check=True).stdout
    (part,) = only_word(f"$'{inner}'").parts
    assert isinstance(part, Text)
    assert part.text == said.decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["echo $x\\\ny", "echo $\\\nx", 'echo "$x\\\ny"', "i\\\nf", "x\\\n=1", "a 2\\\n>b", "wh\\\n\\\nile a"])
def test_a_line_break_inside_what_is_one_is_refused(text: str) -> None:
    with pytest.raises(ShellSyntaxError):
        parse(text)


def test_a_line_break_inside_other_words_is_nothing() -> None:
    assert [part for part in only_word("r\\\nm").parts if isinstance(part, Text)] == [Text("r", False), Text("m", False)]
    assert only_word('"${x}\\\n(a"').parts[-1] == Text("(a", True, True)
    parse("echo \\\n $x \\\n> b")


def test_here_documents_belong_to_their_redirections() -> None:
    command = only_command("cat <<A <<'B' > out\n$x\nA\n$y\nB\n")
    first, second, _ = command.redirects
    assert first.body is not None
    assert [type(part) for part in first.body.parts] == [Variable, Text]
    assert second.body is not None
    assert second.body.parts == [Text("$y\n", True)]


def test_double_parentheses_may_be_subshells() -> None:
    assert isinstance(compound := parse("((a); b)").pipelines[0].commands[0], Compound)
    assert compound.form == "("
    assert isinstance(only_word("$((a); b)").parts[0], Substitution)


HOSTILE = {
    **{
        unit: unit
        for unit in ["(", "((", "$(", '"', "`", "{ ", "<<", "cat <<A\n", "cat <<A <<B ", "if ", "$", "$((", "w", "a|", "for a in "]
    },
    **{
        unit: unit
        for unit in ["${a", "${a:-", "case a in ", "f(){ ", "a=(", "\\", "\\`", "@(", "<(", '"$(', "`\\`", "\\\n", "$[", "& ", "! ", "'"]
    },
    **{unit: unit for unit in ["$'\\x", "[[ ", "${a[", ";", "$((1+", "<<A\nA\n", "`a`", "f()", "echo hello world; "]},
}


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.alone
def test_a_megabyte_of_anything_is_read_in_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        gc.disable()  # Its turns come when they come.
        started = time.process_time()
        with contextlib.suppress(ShellSyntaxError):
            parse(text)
        gc.enable()
        return time.process_time() - started

    small, large = seconds(1 << 16), seconds(1 << 18)
    # Four times the text on a noisy machine; a quadratic parser would need 16 times as long.
    assert large < 10 * small + 0.05


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=200) | st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join))
def test_no_text_raises_anything_else(text: str) -> None:
    position = 0
    try:
        parse(text)
    except ShellSyntaxError as error:
        position = error.position
    assert 0 <= position <= len(text) + 1
