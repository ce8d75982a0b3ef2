"""What each metric says of fixed answers. A change here changes published figures: raise the version in `core.stages` with it."""

from __future__ import annotations

import pytest

from luthier.core.stages import STAGES
from luthier.evaluate.instruments.extract import markdown_command
from luthier.evaluate.instruments.metrics import command_metrics, command_only, exact_match, normalized_match, template_match
from luthier.evaluate.kinds.commands import Commands

# Raise it together with the version in `core.stages` when an answer below is judged otherwise than before (verdicts: `test_verdicts.py`).
EXPECTED_VERSION = 12

COMMAND_ONLY = [
    "ls",
    "ls -la",
    "./run.sh --fast",
    "/usr/bin/env python3 x.py",
    "find . -name '*.py' -exec wc -l {} +",
    "cd /tmp && ls | sort",
    "cd /tmp; ls",
    "sudo apt-get install -y vim",
    "FOO=1 make all",
    "for f in *.txt; do echo $f; done",
    "[ -f x ] && rm x",
    "> empty.txt",
    "x=$(date +%F)",
    "echo this is the end of it",
    'git commit -m "fix the end of the file"',
    "awk '{ print $1 }' f",
    "Rscript plot.R",
    "time ls",
    "type ls",
    "command -v git",
    "$EDITOR notes.txt",
    "~/bin/tool x",
    ". ./env.sh",
    "ls \\\n  -la",
    "  ls -la\n",
    "g++ -o a a.cpp",
    "who",
    "just build",
    "ufw deny proto udp from any to any port 53",
    "ned 'the' -r 'the' .",
    "du -sh * | sort -h",
    "grep -r 'is the' .",
    "diff <(ls a) <(ls b)",
]

NOT_COMMAND_ONLY = [
    "",
    "   \n",
    "```bash\nls\n```",
    "```ls```",
    "`ls -la`",
    "$ ls",
    "Use the ls command.",
    "Use ls",
    "use ls -la",
    "You can use ls",
    "To list files, run ls",
    "to list files run ls",
    "The command is ls",
    "the answer is ls",
    "Sure, here it is",
    "Sure! ls",
    "Here: ls",
    "List the files",
    "List files",
    "ls -la # lists files",
    "# ls",
    "ls\nThis lists the files.",
    "ls\npwd",
    "1. ls",
    "- ls",
    "* ls",
    "**ls**",
    "ls.",
    "ls, then cd",
    "find lists the names of files",
    "ls 'open",
    "ls | ",
    "ls \x1b[0m",
    "<command>ls</command>",
    "a\0b",
    "please run ls",
]


@pytest.mark.parametrize("answer", COMMAND_ONLY)
def test_a_command_alone(answer: str) -> None:
    assert command_only(answer) == 1.0


@pytest.mark.parametrize("answer", NOT_COMMAND_ONLY)
def test_more_or_less_than_a_command(answer: str) -> None:
    assert command_only(answer) == 0.0


@pytest.mark.parametrize(
    ("answer", "accepted", "exact", "normal"),
    [
        ("ls -la", ["ls -la"], 1, 1),
        (" ls -la\n", ["ls -la "], 1, 1),
        ("ls -al", ["ls -la"], 0, 1),
        ("ls -al", ["pwd", "ls -l -a"], 0, 1),
        ("ls", ["pwd", "ls"], 1, 1),
        ("grep 'x' f", ['grep "x" f'], 0, 1),
        ("grep 'x' f", ["grep x g"], 0, 0),
        ("ls --all -l", ["ls -la"], 0, 1),
        ("tar xzf a", ["tar --extract --gzip --file=a"], 0, 1),
        ("find . -type f -name x", ["find . -name x -type f"], 0, 1),
        ("rm -i -f x", ["rm -f -i x"], 0, 0),
        ("LS", ["ls"], 0, 0),
        ("", ["ls"], 0, 0),
        ("not ( shell", ["not ( shell"], 1, 1),
        ("not  ( shell", ["not ( shell"], 0, 0),
    ],
)
def test_matches(answer: str, accepted: list[str], exact: int, normal: int) -> None:
    assert (exact_match(answer, accepted), normalized_match(answer, accepted)) == (exact, normal)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ls -la", "ls -la"),
        ("  ls \n", "ls"),
        ("```bash\nls -la\n```", "ls -la"),
        ("Here you go:\n\n```bash\nls -la\n```\n\nIt lists `files`.", "ls -la"),
        ("```\n$ ls\n```", "ls"),
        ("```console\n$ cd x\n$ ls\n```", "cd x\nls"),
        ("```sh\n# list\nls\n\n```", "ls"),
        ("~~~\nls\n~~~", "ls"),
        ("````bash\necho '```'\n````", "echo '```'"),
        ("```bash\nls -la", "ls -la"),
        ("```bash\nls\n```\nor\n```bash\ndir\n```", "ls"),
        ("```ls -la```", "ls -la"),
        ("```bash ls -la```", "ls -la"),
        ("```fish ls -la```", "ls -la"),
        ("Use `ls -la` for this.", "ls -la"),
        ("The `find` command: `find . -name x`.", "find . -name x"),
        ("Use ``echo `date` `` here", "echo `date`"),
        ("Run `$ ls`", "ls"),
        ("  ```\n  ls\n  ```", "ls"),
        ("", ""),
        ("`", "`"),
        ("```", "```"),
        ("```\n```", ""),
    ],
)
def test_the_markdown_parser(text: str, command: str) -> None:
    assert markdown_command(text) == command


def test_only_the_parser_candidate_cuts_text() -> None:
    text = " `ls` \n"
    assert [Commands().extract(text, with_parser) for with_parser in (False, True)] == ["`ls`", "ls"]


def test_metrics_stand_under_their_published_names() -> None:
    row = command_metrics(["ls -al"], [["ls -la"]])
    assert row == [{"exact_match": 0.0, "normalized_match": 1.0, "template_match": 1.0, "command_only_rate": 1.0}]


def test_the_version_is_the_one_of_these_judgements() -> None:
    assert STAGES["evaluate"].version == EXPECTED_VERSION


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("ls -al /var", "ls -la /tmp", 1),
        ("head -n20 b.log", "head -n 5 a.txt", 1),
        ("head -20 b.log", "head -5 a.txt", 1),
        ("find /x -type f -name '*.c'", "find . -type f -name '*.py'", 1),
        ("find . -type d", "find . -type f", 0),
        ("git commit -m 'c d'", "git commit -m 'a b'", 1),
        ("git rm x", "git add x", 0),
        ("systemctl status a -n 5", "systemctl --lines 9 status b", 1),
        ("systemctl stop a -n 5", "systemctl -n 5 status a", 0),
        ("chmod u-x f.sh", "chmod u+x f.sh", 0),
        ("chmod u+x g.sh", "chmod u+x f.sh", 1),
        ("grep bar b.txt", "grep foo a.txt", 1),
        ("grep -i bar b.txt", "grep foo a.txt", 0),
        ("ls > b.txt", "ls > a.txt", 1),
        ("ls > /dev/null", "ls > a.txt", 0),
        ("ls >> a.txt", "ls > a.txt", 0),
        ("ls *.md", "ls *.txt", 1),
        ("ls a.txt", "ls *.txt", 0),
        ("echo $(ls c/d | wc -l)", "echo $(ls a/b | wc -l)", 1),
        ("echo $(ls c/d | wc -c)", "echo $(ls a/b | wc -l)", 0),
        ("cat a.txt | sort", "cat a.txt && sort", 0),
        ("du --max-depth=2 /y", "du --max-depth=1 /x", 1),
        ("du --max-depth=x /y", "du --max-depth=1 /x", 0),
        ("kill $PID", "kill $PID", 1),
        ("kill $OTHER", "kill $PID", 0),
        ("rm a (", "rm b (", 0),
        ("ls", "pwd", 0),
    ],
)
def test_template_match_forgives_slots_alone(answer: str, gold: str, same: int) -> None:
    assert template_match(answer, [gold]) == same
