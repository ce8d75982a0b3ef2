"""Commands written otherwise: equal by the guard's normalized form, which judges answers in the evaluation too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.augment.flag_order import rewritten, with_other_flags
from luthier.data.rows.fields import Fields
from luthier.data.synthesize.made import asked
from luthier.evaluate.instruments.metrics import normalized_match


def ways(command: str) -> set[str]:
    return {rewritten(command, str(number)) for number in range(80)} - {command}


def test_golden() -> None:
    assert ways("head -n 5 x") == {"head --lines 5 x", "head --lines=5 x"}
    assert "ls -S -l" in ways("ls -l -S")
    assert {"ls -l -a", "ls -al"} <= ways("ls -la")


@pytest.mark.parametrize(
    "command",
    [
        "ls",
        "unknown -a -b",
        "find . -name x -delete",
        "echo '-a -b'",
        "cat <<E\n-a\nE",
        "not a (command",
        "ls -a # all",
        "tar -x -f a.tar\nls -a -l",
    ],
)
def test_what_is_left_alone(command: str) -> None:
    assert ways(command) == set()


def test_options_of_which_the_last_counts_keep_their_order() -> None:
    assert not {"rm -i -f x", "rm -if x"} & ways("rm -f -i x")


def test_an_option_that_the_request_names_stays() -> None:
    assert with_other_flags(Fields(asked("Use -n with head", "head -n 5 x")), "key") is None
    assert with_other_flags(Fields(asked("Show five lines", "head -n 5 x")), "key") is not None


OPTIONS = st.sampled_from(
    ["-a", "-l", "-la", "--all", "-S", "-r", "--reverse", "-h", "-t", "-w 5", "--width=5", "-R", "x", "'a b'", "--", "-1"]
)
COMMANDS = st.builds(
    lambda program, options, tail: " ".join([program, *options]) + tail,
    st.sampled_from(["ls", "sudo ls", "grep", "sort", "tar", "head", "cp", "A=1 ls"]),
    st.lists(OPTIONS, max_size=5),
    st.sampled_from(["", " | head -n 3", " && ls -l -a", "; ls -a -l", " > out"]),
)


@given(COMMANDS, st.text(max_size=3))
def test_a_varied_command_is_equal_in_meaning(command: str, key: str) -> None:
    changed = rewritten(command, key)
    assert normalized_match(changed, [command]) == 1
    assert rewritten(command, key) == changed
