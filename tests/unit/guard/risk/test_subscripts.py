"""Texts that bash evaluates although they are quoted: subscripts in names and in arithmetic, prompts, completions, callbacks."""

from __future__ import annotations

import pytest

from luthier.guard.verdict import judge

# Each of these was seen to run its substitution in bash 5.
RUNS = (
    "[ -v 'a[{0}]' ]",
    "test -v 'a[{0}]'",
    "[[ -v 'a[{0}]' ]]",
    "[[ 'a[{0}]' -eq 1 ]]",
    "printf -v 'a[{0}]' x",
    "read 'a[{0}]' <<< x",
    "let 'a[{0}]=1'",
    "declare 'a[{0}]=1'",
    "declare -i 'y=a[{0}]'",
    "declare -i y; y='a[{0}]'",
    "x='a[{0}]'; [[ $x -eq 1 ]]",
    "x='a[{0}]'; (( x ))",
    "x='a[{0}]'; echo $((x))",
    "x='a[{0}]'; echo ${{!x}}",
    "x='{0}'; echo ${{x@P}}",
    "compgen -W '{0}'",
    "unset 'a[{0}]'",
)


@pytest.mark.parametrize("form", RUNS)
def test_what_bash_runs_is_followed(form: str) -> None:
    assert judge(form.format("$(rm -rf ~)")).level == "dangerous"
    assert judge(form.format("$(date)")).level in ("safe", "caution")


@pytest.mark.parametrize("command", ["mapfile -C 'rm -rf ~;' -c 1 <<< x", "compgen -C 'rm -rf ~'", "readarray -c 1 -C 'rm -rf ~' < f"])
def test_code_in_options_of_the_shells_own_commands_is_followed(command: str) -> None:
    assert judge(command).level == "dangerous"
    assert judge(command.replace("rm -rf ~", "echo")).level in ("safe", "caution")


@pytest.mark.parametrize(
    "command", ["echo 'a[$(rm -rf ~)]'", "printf '%s' 'a[$(rm -rf ~)]'", "grep 'a[$(rm -rf ~)]' notes.txt", "[ a = b ]"]
)
def test_what_is_only_printed_or_sought_is_not(command: str) -> None:
    assert judge(command).level == "safe"
