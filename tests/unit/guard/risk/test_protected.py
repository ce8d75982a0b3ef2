"""Protected places: what reaches them, what lies above them, and what does not."""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.guard.risk.context import Settings
from luthier.guard.risk.protected import Protected
from luthier.guard.risk.rules import built_in
from luthier.guard.values.symbols import CWD, QUESTION, STAR
from luthier.guard.verdict import judge

PLACES = (
    *("/tmp/work/big/models", "data/raw", "~/thesis/draft", "/tmp/shared/*/models", "src/**/gold", "/home/ann/private"),
    *("keys*.json", "release/**"),
)
# These say nothing of the settings, but must not get better by them.
DANGEROUS_ANYHOW = ("rm -r ~/thesis", "rm -rf /home/somebody/thesis")
SETTINGS = Settings(built_in(), Protected(PLACES))


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /tmp/work/big",
        "rm -rf /tmp/work/big/*",
        "rm -rf /tmp/work/b*",
        "rm -rf /tmp/work/bi[gh]",
        "rm -rf /tmp/work/{big,small}",
        "rm -r ./data/../data/",
        "rm -rf /tmp/work/big/mod*",
        "rm -r data",
        "rm -r d?ta",
        "cd /tmp/work && rm -r big",
        "mv data /tmp/x",
        "mv .. x",
        "chmod -R 700 data",
        "chown -R me /tmp/work/big",
        "find data -delete",
        "rm -r ~/thesis",
        "rm -rf /home/somebody/thesis",
        "rm -rf /tmp/shared/a",
        "rm -rf /tmp/shared/a/models/x",
        "rm -r src",
        "rm -r src/gold",
        "rm -r src/a/b/gold/x",
        "rm ~/private",
        "rm keys1.json",
        "rm *.json",
        "rm -r release",
        "sed -i s/a/b/ data/*",
        "python3 -c 'import shutil; shutil.rmtree(\"data\")'",
        'rm -rf "$X/tmp/work/big"',
    ],
)
def test_what_reaches_a_protected_place_is_dangerous(command: str) -> None:
    assert judge(command, SETTINGS).level == "dangerous"
    assert command in DANGEROUS_ANYHOW or judge(command).level != "dangerous"


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /tmp/work/small",
        "rm -rf /tmp/work/bi[xy]z",
        "rm -rf /tmp/work/big/model",
        "rm -r data2",
        "rm -r ../x",
        "rmdir data",
        "chmod 700 data",
        "cp -r x data",
        "touch data/new",
        "rm -r src/a",  # Nobody knows whether a `gold` lies in it.
        "rm -r build",
        "rm other.json",
        "cd /tmp && rm -r data",
        "mv x /tmp/work/small",
    ],
)
def test_what_reaches_none_stays_as_it_was(command: str) -> None:
    assert judge(command, SETTINGS) == judge(command)


def test_the_reason_names_the_place() -> None:
    assert "`data/raw` lies in it" in judge("rm -r data", SETTINGS).reason
    assert judge("rm data/raw/x", SETTINGS).danger == "destruction"
    assert judge("> data/raw/x", SETTINGS).danger == "truncation"
    assert judge("chmod -R 700 data", SETTINGS).danger == "permissions"


def test_a_protected_file_that_is_known_to_the_guard_is_protected_all_the_same() -> None:
    settings = Settings(built_in(), Protected(("~/.bashrc", "/home", "/")))
    command = "echo alias l=ls >> ~/.bashrc"
    assert (judge(command).level, judge(command, settings).level) == ("caution", "dangerous")
    assert judge("rm ~/notes", Settings(built_in(), Protected(("/home",)))).level == "dangerous"
    assert judge("rm notes", Settings(built_in(), Protected(("/",)))).level == "dangerous"


NAME = st.text("ab*", min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(NAME, st.text("ab" + STAR + QUESTION, min_size=1, max_size=4))
def test_globs_meet_where_a_name_fits_both(wanted: str, given_name: str) -> None:
    """Against every name of up to four letters, tried one by one."""
    from fnmatch import fnmatchcase

    glob = given_name.replace(STAR, "*").replace(QUESTION, "?")
    # What both may mean is no longer than their letters together.
    names = ("".join(letters) for size in range(1, 9) for letters in product("ab", repeat=size))
    expected = any(fnmatchcase(name, wanted) and fnmatchcase(name, glob) for name in names)
    found = Protected((f"/x/{wanted}/y",)).harm("move", f"/x/{given_name}/y", CWD, tree=False)
    if wanted.strip("*"):  # A trailing name of stars alone is no name.
        assert (found is not None) == expected


def test_a_long_path_costs_little() -> None:
    protected = Protected(("**/a/**/b/**/c", "/x/*a*b*c*"))
    started = time.process_time()
    protected.harm("delete", "a/" * 100_000, CWD, tree=True)
    protected.harm("delete", "/x/" + ("a" + STAR) * 30_000, CWD, tree=True)
    assert time.process_time() - started < 5
