"""Normalized forms: what two commands may differ in and still be one, and above all what keeps them apart."""

from __future__ import annotations

import gc
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.guard.shell import (
    MAX_TEXT_BYTES,
    command_name,
    command_words,
    has_comment,
    is_well_formed,
    normalized,
    parse,
    simple_commands,
)
from luthier.guard.words import literal_text

EQUAL = [
    # White space, separators, comments.
    ("ls  -l   /tmp", "ls -l /tmp"),
    ("ls -l\t/tmp", "ls -l /tmp"),
    ("ls \\\n  -l", "ls -l"),
    ("ls;", "ls"),
    ("ls ; ", "ls"),
    ("ls # the files", "ls"),
    ("cd /tmp; ls", "cd /tmp\nls"),
    ("a|b", "a | b"),
    ("a&&b", "a && b"),
    ("for f in *; do rm $f; done", "for f in *\ndo\nrm $f\ndone"),
    # Quotes that protect nothing.
    ('grep "foo" x', "grep foo x"),
    ("grep 'foo' x", 'grep "foo" x'),
    ("echo 'a b'", 'echo "a b"'),
    ("echo a\\ b", "echo 'a b'"),
    ("echo 'it'\\''s'", 'echo "it\'s"'),
    ("echo a'b'\"c\"", "echo abc"),
    ('find . -name "*.py"', "find . -name '*.py'"),
    ("find . -name \\*.py", "find . -name '*.py'"),
    ("find . -exec rm {} \\;", "find . -exec rm '{}' ';'"),
    ("find . -exec rm {} +", 'find . -exec rm "{}" +'),
    ("awk '{print $1}' f", 'awk "{print \\$1}" f'),
    ("git reset HEAD@{1}", "git reset 'HEAD@{1}'"),
    ("FOO='bar' make", "FOO=bar make"),
    ("cat <'in'", "cat < in"),
    ("find . ! -name x", "find . \\! -name x"),
    ("echo ''", 'echo ""'),
    ("echo $'plain'", "echo plain"),
    ("echo 5", "echo '5'"),
    # Expansions.
    ("echo ${HOME}", "echo $HOME"),
    ('echo "${x}y"', 'echo "$x"y'),
    ("echo `date`", "echo $(date)"),
    ("echo $( ls   -al )", "echo $(ls -la)"),
    ("diff <(ls -al) <(b)", "diff <( ls -la ) <(b)"),
    ('echo "`a \\"b\\"`"', 'echo "$(a "b")"'),
    ("echo $'\\x61\\tb'", "echo 'a\tb'"),
    ("echo a''b", "echo ab"),
    ("echo \"$x\"''", 'echo "$x"'),
    ("'ls' x", "\\ls x"),
    # Statements.
    ("f() { a; }", "function f { a; }"),
    ("case x in (a | b) c;; esac", "case x in a|b) c\nesac"),
    ("if a\nthen b\nfi", "if a; then b; fi"),
    ("((1  <  x))", "((1 < x))"),
    ("export x='a'", "export x=a"),
    # Redirections.
    ("> out ls", "ls > out"),
    ("ls >out", "ls > out"),
    ("ls 1>out", "ls > out"),
    ("ls >out 2>&1", "ls > out 2>&1"),
    # Short flags.
    ("ls -la", "ls -al"),
    ("ls -la", "ls -l -a"),
    ("ls -a -l", "ls -l -a"),
    ("ls -lah /tmp", "ls -h -al /tmp"),
    ("rm -rf x", "rm -fr x"),
    ("grep -rin foo .", "grep -n -ri foo ."),
    ("tar -xzvf a.tgz", "tar -zxvf a.tgz"),
    ("tar -xvz -f a.tgz", "tar -xzvf a.tgz"),
    ("head -n5 x", "head -n 5 x"),
    ("cut -d, -f1 x", "cut -f 1 -d ',' x"),
    ("sort -t: -k2 x", "sort -k2 -t : x"),
    ("git commit -am 'x y'", 'git commit -a -m "x y"'),
    ("sudo ls -la", "sudo ls -al"),
    ("sudo -u bob rm -rf x", "sudo -ubob rm -fr x"),
    ("xargs -0 rm -rf", "xargs -0 rm -fr"),
    ("find . | xargs ls -la", "find . | xargs ls -al"),
    ("docker run -it ubuntu", "docker run -t -i ubuntu"),
    # Long options with a required value.
    ("du --max-depth 1", "du --max-depth=1"),
    ('grep --include "*.py" -r x', "grep --include='*.py' -r x"),
    ("git commit --message 'a b'", 'git commit --message="a b"'),
]

DIFFERENT = [
    ("ls", "ls -l"),
    ("ls -l", "ls -L"),
    ("ls a b", "ls b a"),
    ("a; b", "a && b"),
    ("a; b", "a & b"),
    ("a", "a &"),
    ("a | b", "a || b"),
    ("a | b", "a |& b"),
    ("! grep x f", "grep x f"),
    ("(cd x)", "cd x"),
    ("(cd x)", "{ cd x; }"),
    # Quotes that protect something.
    ("find . -name *.py", "find . -name '*.py'"),
    ("echo $x", 'echo "$x"'),
    ('echo "$x"', "echo '$x'"),
    ("echo {a,b}", "echo '{a,b}'"),
    ("echo {1..3}", "echo '{1..3}'"),
    ("ls ~/x", "ls '~/x'"),
    ("ls ~bob", "ls ~'bob'"),
    ("make PREFIX=~/x", "make PREFIX='~/x'"),
    ("echo a b", "echo 'a b'"),
    ("echo a\\nb", "echo 'a\\nb'"),
    ("echo $'a\\nb'", "echo 'a\\nb'"),
    ("echo !x", "echo '!x'"),
    ('echo "!x"', "echo '!x'"),
    ("ls [ab]", "ls '[ab]'"),
    ("ls [a-c]", "ls [a'-'c]"),
    ("\\ls", "ls"),
    ("'ls' x", "ls x"),
    ("echo ''", "echo"),
    ("echo $(ls)", 'echo "$(ls)"'),
    ("echo $(a; b)", "echo $(a & b)"),
    ("echo ${x:-1}", "echo ${x:-2}"),
    ("echo $xy", "echo ${x}y"),
    ("a=1 b", "b a=1"),
    ("a=1", "a+=1"),
    ("[[ $x == 'a b' ]]", "[[ $x == 'a  b' ]]"),
    ("[[ $x =~ 'a.b' ]]", "[[ $x =~ a.b ]]"),
    # Redirections.
    ("sort 0<in", "sort 0 <in"),
    ("ls > a", "ls >> a"),
    ("ls 2> a", "ls > a"),
    ("ls >a 2>&1", "ls 2>&1 >a"),
    ("ls > a", "ls >| a"),
    ("cat < a", "cat <<< a"),
    # Statements.
    ("! a", "a"),
    ("time a", "time -p a"),
    ("case x in a|b) c;; d) e;; esac", "case x in a) c;; b|d) e;; esac"),
    ("case x in a) b;; *) c;; esac", "case x in a) b;& *) c;; esac"),
    ("[[ a && b ]]", "[[ a || b ]]"),
    ("[[ a < b ]]", "[[ a > b ]]"),
    ("[[ $x =~ a$ ]]", "[[ $x =~ a\\$ ]]"),
    ("((1 < x))", "((1 > x))"),
    ("for ((;;)) { a; }", "for ((;1;)) { a; }"),
    ("x[1]=a", "x[2]=a"),
    ("coproc A { b; }", "coproc C { b; }"),
    ("if a; then b; else c; fi", "if a; then b; elif c; then d; fi"),
    # Words that look alike.
    ("ls ~/x", "ls ~'/'x"),
    ("ls ~", "ls ~''"),
    ("ls ~", "ls ''~"),
    ("echo {1..3}", "echo {1..'3'}"),
    ("echo $x", "echo ''$x"),
    ("echo @(a|b)", "echo @(a|c)"),
    ("echo $'\\xe9'", "echo \u00e9"),
    ("echo $'\\xe9'", "echo $'\\xe8'"),
    ("echo $((1))", 'echo "$((1))"'),
    ('cut -f "$@" -d, x', 'cut -d, -f "$@" x'),
    ("export x=$y", 'export "x="$y'),
    # Flags whose order counts, flags with values, programs and options that are not known.
    ("ls -tS", "ls -St"),
    ("cp -in a b", "cp -ni a b"),
    ("grep -A3 x", "grep -3A x"),
    ("grep -e a -e b", "grep -e b -e a"),
    ("cut -dx -f1", "cut -xd -f1"),
    ("tar -xzf a", "tar -xfz a"),
    ("find . -name x -delete", "find . -delete -name x"),
    ("unknown -ab", "unknown -ba"),
    ("unknown --opt v", "unknown --opt=v"),
    ("grep --color auto x", "grep --color=auto x"),
    ("grep --include ~/x a", "grep --include=~/x a"),
    ("head -n $x f", "head -n$x f"),
    ("cut -f $x -d,", "cut -d, -f $x"),
    ("grep -v -- -v", "grep -- -v -v"),
    ("ls -v -v", "ls -v"),
    ("ssh h ls -la", "ssh h ls -al"),
    ("docker run x ls -la", "docker run x ls -al"),
    ("git stash -k", "git stash -u"),
    ("sudo -u a ls", "sudo -u b ls"),
    ("kill -9 1", "kill -15 1"),
    ("ls file1", "ls file2"),
    ("cat <<E\na\nE", "cat <<E\nb\nE"),
]


@pytest.mark.parametrize(("first", "second"), EQUAL)
def test_equal_commands_share_a_form(first: str, second: str) -> None:
    assert normalized(first) == normalized(second)
    assert normalized(first).startswith("tree:")


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_commands_that_can_differ_stay_apart(first: str, second: str) -> None:
    assert normalized(first) != normalized(second)


@pytest.mark.parametrize(
    "text", ["", ")))", "echo 'open", "for", "a\0b", "\ud800", "if then", "x" * (MAX_TEXT_BYTES + 1), "(" * 5000, "$(" * 3000]
)
def test_text_without_a_tree_is_its_own_form(text: str) -> None:
    assert normalized(f" {text}\n") == f"text:{text}"


def test_deep_nesting_costs_no_stack() -> None:
    deep = "echo " + "$(echo " * 200 + "x" + ")" * 200
    assert normalized(deep) == f"text:{deep}"
    assert normalized("sudo " * 3000 + "ls -la") == normalized("sudo " * 3000 + "ls  -al")


def test_texts_that_no_parser_may_stumble_over() -> None:
    """The first ended the process with the parser before this one, tree-sitter-bash 0.25."""
    assert normalized("'`{\U0010e728\U000576cfMt'").startswith("tree:")
    assert normalized("a|" * 8_000 + "a").startswith("tree:")


@pytest.mark.parametrize(
    "unit", ["a|", "{a,", "~:", "!", "''", "$x", "[", "sudo ", "-n ", "a\\\n", "x=", "`\\`", '"$@"', "{1..", "echo $(", "\0", "\ud800"]
)
def test_a_megabyte_of_anything_has_its_form_in_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text, spent = unit * (size // len(unit)), []
        gc.disable()  # Its turns come when they come.
        for _ in range(3):
            started = time.process_time()
            normalized(text)
            spent.append(time.process_time() - started)
        gc.enable()
        return min(spent)

    assert seconds(1 << 20) < 0.5
    small, large = seconds(MAX_TEXT_BYTES >> 2), seconds(MAX_TEXT_BYTES)
    assert large < 10 * small + 0.05


@pytest.mark.parametrize(
    ("text", "commented"),
    [
        ("ls", False),
        ("ls # x", True),
        ("echo a#b '# c' \"# d\"", False),
        ("a $(b # c\n)", True),
        ("echo `a # b`", True),
        ("for i in a # b\ndo c; done", True),
        ("# a", True),
        ("cat <<E\n# no\nE", False),
        ("cat <<E\n$(a # b\n)\nE", True),
        ("${x#y} $#", False),
        ("x=(a # b\n)", True),
    ],
)
def test_comments_are_found_at_any_depth(text: str, commented: bool) -> None:
    root = parse(text)
    assert root is not None
    assert has_comment(root) is commented


SHELLISH = st.lists(
    st.sampled_from(
        [
            *"ab-$'\"\\`(){}[]<>|&;*?!~#=/ \n\t",
            "\U0010e728",
            "\\\n",
            "$'\\x",
            "case ",
            "[[ ",
            "ls",
            "-la",
            "$(",
            "${",
            "<<E",
            "do",
            "done",
            "\u00e9",
            "\ud800",
            "\0",
        ]
    ),
    max_size=30,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(SHELLISH, st.text(max_size=60)))
def test_no_text_raises(text: str) -> None:
    form = normalized(text)
    assert form == normalized(text)
    root = parse(text)
    assert is_well_formed(text) is (root is not None)
    if root is not None:
        has_comment(root)
        for command in simple_commands(root):
            command_words(command)
            command_name(command)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=1, max_size=4)
)
def test_quoting_by_hand_in_two_ways_gives_one_form(values: list[str]) -> None:
    single = "prog " + " ".join("'" + value.replace("'", "'\\''") + "'" for value in values)
    double = "prog " + " ".join('"' + "".join(f"\\{c}" if c in '$`"\\' else c for c in value) + '"' for value in values)
    root = parse(single)
    assert root is not None
    if any("!" in value for value in values):
        return
    assert normalized(single) == normalized(double)
    assert [literal_text(word) for word in command_words(next(simple_commands(root)))][1:] == values


def test_shuffled_independent_flags_have_one_form() -> None:
    generator = random.Random(7)
    letters = list("aBdRrZGis")
    forms = set()
    for _ in range(50):
        generator.shuffle(letters)
        cut = generator.randrange(1, len(letters))
        forms.add(normalized(f"ls -{''.join(letters[:cut])} -{''.join(letters[cut:])} x"))
    assert len(forms) == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ls | wc -l", ["ls", "wc"]),
        ("if [ x ]; then a; fi > $(b)", ["[", "a", "b"]),
        ("a $(b)", ["a", "b"]),
        ("$x y", [None]),
        ("x=1", []),
        ("'l's", ["ls"]),
    ],
)
def test_programs_are_found_in_order(text: str, names: list[str | None]) -> None:
    root = parse(text)
    assert root is not None
    assert [command_name(command) for command in simple_commands(root)] == names
