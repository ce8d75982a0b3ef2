"""Several scanners together: merging, redaction, the second scan, and what fails closed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clean_texts import clean_cases
from luthier.core.errors import MissingExtraError
from luthier.guard.secrets import native, scan
from luthier.guard.secrets import strength as strengths
from luthier.guard.secrets.child import ChildScanner
from luthier.guard.secrets.files import redact_file, scan_files
from luthier.guard.secrets.findings import SCANNER_ERROR, UNDECODABLE, Finding, Lines, merge
from luthier.guard.secrets.kinds import KINDS, kind_of
from luthier.guard.secrets.scan import SCANNERS, redact, redact_with, replaced, scan_with
from luthier.guard.secrets.strength import STRENGTHS, Strength, default_strength
from secret_texts import chars, checked, secret_cases

NEEDS_CREDSWEEPER = pytest.mark.skipif(
    find_spec("credsweeper") is None, reason="credsweeper is not installed: pip install 'luthier[credsweeper]'"
)
INSTALLED = [pytest.param(strength, marks=() if strength == "fast" else NEEDS_CREDSWEEPER) for strength in STRENGTHS]
PROGRAMS = ("kingfisher_sdk", "credsweeper", "detect_secrets")

ANY_TEXT = st.one_of(
    st.text(max_size=120),
    st.lists(
        st.sampled_from(
            [
                "password",
                "=",
                ": ",
                '"',
                "'",
                "\n",
                "ü",
                "😀",
                "\0",
                "\ud800",
                "\ufeff",
                "tok" + "en",
                "Zx81_q0-PLw9",
                "gh" + "p_",
                "://",
                "@",
                "<PASSWORD",
                "<",
                ">",
                "-----BEGIN ",
            ]
        ),
        max_size=20,
    ).map("".join),
)


class Words:
    """Finds each of some words."""

    name = "words"

    def __init__(self, **kinds: str) -> None:
        self._kinds = kinds

    def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
        found = []
        for text in texts:
            lines = Lines(text)
            found.append(
                [lines.finding(text.find(word), text.find(word) + len(word), kind) for word, kind in self._kinds.items() if word in text]
            )
        return found


def token(seed: int = 0) -> str:
    return checked("gh" + "p_", 30)(random.Random(seed))


def test_overlapping_findings_are_one_with_the_best_kind() -> None:
    found = merge(
        [Finding(4, 9, 1, "high-entropy"), Finding(0, 5, 1, "password"), Finding(4, 6, 1, "github-token"), Finding(9, 12, 1, "jwt")]
    )
    assert found == (Finding(0, 9, 1, "github-token"), Finding(9, 12, 1, "jwt"))
    assert merge([Finding(0, 9, 1, "generic-secret"), Finding(2, 9, 1, "password")]) == (Finding(0, 9, 1, "password"),)
    assert merge([]) == ()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from(sorted(KINDS)))))
def test_merging_covers_the_same_bytes_in_any_order(spans: list[tuple[int, int, str]]) -> None:
    findings = [Finding(start, start + size, 1, kind) for start, size, kind in spans]
    merged = merge(findings)
    assert merged == merge(reversed(findings)) == merge(merged)
    assert all(first.end <= second.start for first, second in pairwise(merged))
    assert {byte for item in merged for byte in range(item.start, item.end)} == {
        byte for item in findings for byte in range(item.start, item.end)
    }


def test_offsets_are_exact_on_text_of_many_bytes() -> None:
    value = token()
    for before in ("", "ü", "😀\n", "\ufeff", "a\r\nß: ", "\0\0"):
        text = f"{before}token = {value}\nüü"
        for strength in STRENGTHS[:1]:
            (found,) = scan.scan([text], strength)[0]
            assert text.encode()[found.start : found.end].decode() == value
            assert found.line == 1 + before.count("\n")


def test_a_secret_is_redacted_and_nothing_else() -> None:
    scanner = Words(alpha="password", gamma="jwt")
    (done,) = redact_with([scanner], ["ü alpha beta gamma\n"])
    assert done.text == "ü <PASSWORD> beta <JWT>\n"
    assert done.is_clean
    assert [(item.start, item.end) for item in done.findings] == [(3, 8), (14, 19)]


@pytest.mark.parametrize(
    ("text", "is_clean"),
    [
        ("a", True),
        ("key=a;", True),
        ("-pa -u bob", True),
        ("x -pa", True),
        ("key=a&user=bob", True),
        ("(a)", True),
        ("a, then", True),
        ("bob:a@host", True),
        ("'a\\n'", True),
        ("a3", False),
        ("a&3", False),
        ("key=a$q;", False),
        ("3a", False),
        ("key=a%41", False),
        ("key=a Kq8Lm2vTG/bPxRfiCYzz", False),
        ("key=a Kq8Lm2vTG/bPxRfiCYzz.io/x:80", True),
        ("key=a and words that follow", True),
        ("key=a HttpPasswordManagerFactory", True),
        ("key=a 0123456789abcdef0123456789abcdef01234567", True),
    ],
)
def test_remains_beside_a_mark_make_a_text_unclean(text: str, is_clean: bool) -> None:
    class First:
        """Finds the one `a` that stands where the value does."""

        name = "first"

        def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
            return [[Finding(at, at + 1, 1, "password") for at in [one.find("a")] if at >= 0 and "<" not in one] for one in texts]

    (done,) = redact_with([First()], [text])
    assert (done.text, done.is_clean) == (text.replace("a", "<PASSWORD>", 1), is_clean)


def test_a_key_that_a_blank_cuts_in_two_goes_whole() -> None:
    key = "wJalrXUtnFEMI/K7MDEN" + " " + "G/bPxRfiCYzzKq8Lm2vT"
    (done,) = redact([f"AWS_SECRET={key} # of the store"], "fast")
    assert (done.text, done.is_clean) == ("AWS_SECRET=<GENERIC_SECRET> # of the store", True)


@pytest.mark.parametrize(
    ("before", "is_found"),
    [("AKIA" + "Q3EGRTZ7KPL2MXVB\nSK=", True), ("# of AWS\nSK = '", True), ("aws_sk: ", True), ("SK=", False), ("of laws\nSK=", False)],
)
def test_the_secret_half_of_an_access_key_beside_the_other(before: str, is_found: bool) -> None:
    (done,) = redact([f"{before}{'wJalrXUtnFEMI/K7MDENG/bP' + 'xRfiCYzzKq8Lm2vT'}"], "fast")
    assert ("<GENERIC_SECRET>" in done.text) is is_found


def test_what_a_second_scan_finds_makes_a_text_unclean() -> None:
    class Twice(Words):
        """Finds `c` only where `a` is gone."""

        def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
            words = [Words(a="password") if text.startswith("a") else Words(z="jwt") for text in texts]
            return [scanner.scan([text])[0] for scanner, text in zip(words, texts, strict=True)]

    done = redact_with([Twice()], ["a.bz", "a.bx"])
    assert [item.text for item in done] == ["<PASSWORD>.bz", "<PASSWORD>.bx"]
    assert [item.is_clean for item in done] == [False, True]


@pytest.mark.parametrize(("text", "kind"), [("a\ud800b", UNDECODABLE), ("\udcff", UNDECODABLE)])
def test_a_text_that_is_no_utf_8_is_a_secret(text: str, kind: str) -> None:
    ((found,),) = scan.scan([text], "fast")
    assert found == Finding(0, len(text.encode("utf-8", "surrogatepass")), 1, kind)
    (done,) = redact([text], "fast")
    assert (done.text, done.is_clean) == (scan.mark(kind), False)


def test_a_scanner_that_fails_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    class Native:
        def scan(self, text: str, timeout: float) -> list[object]:
            raise TimeoutError if "slow" in text else RuntimeError if "bad" in text else ValueError if "odd" in text else MemoryError

    monkeypatch.setattr(native, "_native", Native)
    found = scan_with([native.KingfisherScanner()], ["slow ü", "bad", "odd", "x"])
    assert [[(item.end, item.kind) for item in some] for some in found] == [[(size, SCANNER_ERROR)] for size in (7, 3, 3, 1)]
    assert not any(done.is_clean for done in redact_with([native.KingfisherScanner()], ["slow", "bad"]))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for strength, package in zip(STRENGTHS, PROGRAMS, strict=True):
        # The first that is missing is told: before detect-secrets that is credsweeper, where it is not installed.
        extra = "guard" if package == "kingfisher_sdk" or (package != "credsweeper" and find_spec("credsweeper")) else "credsweeper"
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, package, None)
            if package == "kingfisher_sdk":  # As in a process that has not made it yet; the one that is made serves the other tests.
                patch.setattr(native, "_native", native._native.__wrapped__)
            with pytest.raises(MissingExtraError, match=rf"luthier\[{extra}\]"):
                scan.scan(["x"], strength)


def test_rules_are_compiled_once_for_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kingfisher_sdk")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "luthier").mkdir(parents=True)
    text = f"key = {token()}"
    found = []
    for status in ("stored", "loaded"):
        made = native._native.__wrapped__()
        assert made.rules.cache_status == status
        found.append([(item.rule_id, item.location["start_offset"]) for item in made.scan(text)])
    assert found[0] == found[1] != []
    (file,) = (tmp_path / ".cache" / "luthier" / "secret-rules").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_user_without_a_home_compiles_the_rules_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        class Scanner:
            def __init__(self, rules: dict[str, object]) -> None:
                self.rules = rules

        Rules = dict

    def no_home() -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(native, "load", lambda *words: Package)
    monkeypatch.setattr(Path, "home", no_home)
    assert native._native.__wrapped__().rules == {"cache": False}


def test_without_credsweeper_the_default_is_fast_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strengths, "find_spec", lambda name: object())
    assert default_strength() == "thorough"
    monkeypatch.setattr(strengths, "find_spec", lambda name: None)
    assert default_strength() == "fast"
    monkeypatch.setitem(SCANNERS, "thorough", ("nothing",))
    text = f"key = {token()}"
    assert [item.kind for item in scan.scan([text])[0]] == ["github-token"]
    assert redact([text])[0].text == "key = <GITHUB_TOKEN>"
    (tmp_path / "a.py").write_text(text)
    (found,) = scan_files([tmp_path])
    assert redact_file(found) == ()


def test_a_scanner_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ChildScanner("odd", "json", "luthier.no_such_module")
    monkeypatch.setattr(scan, "_scanners", lambda: {"odd": broken})
    monkeypatch.setitem(SCANNERS, "fast", ("odd",))
    assert scan.scanner_failures() == []
    assert [item.kind for item in scan.scan(["x"], "fast")[0]] == [SCANNER_ERROR]
    (failure,) = scan.scanner_failures()
    assert "no_such_module" in failure


def test_findings_never_hold_the_secret() -> None:
    value = token(3)
    for found in scan.scan([f"key: {value}"], "fast"):
        assert found
        assert value[5:20] not in repr(found) + json.dumps([(item.start, item.end, item.line, item.kind) for item in found])
    assert value[5:20] not in repr(redact([f"key: {value}"], "fast"))


def test_marks_are_no_secrets_but_what_hides_in_one_is() -> None:
    everywhere = Words(**{"<PASSWORD>": "password", "<ZX81>": "password", "x<JWT>": "password"})
    assert scan_with([everywhere], ['"<PASSWORD>"']) == [()]
    assert len(scan_with([everywhere], ["<ZX81>"])[0]) == 1
    assert len(scan_with([everywhere], ["x<JWT>"])[0]) == 1
    assert "github-token" in KINDS
    assert all(kind.replace("-", "").isalnum() for kind in KINDS)


def test_rules_have_kinds_of_the_closed_list() -> None:
    rules = {
        "betterleaks.aws-access-token": "aws-access-key",
        "betterleaks.github-fine-grained-pat": "github-token",
        "betterleaks.private-key": "private-key",
        "PEM Private Key": "private-key",
        "AWS Client ID": "aws-access-key",
        "URL Credentials": "credential-uri",
        "Base64 High Entropy String": "high-entropy",
        "JSON Web Token": "jwt",
        "Secret Keyword": "generic-secret",
        "Password": "password",
        "veles.secrets/postmanapikey": "api-key",
        "something": "generic-secret",
    }
    assert {rule: kind_of(rule) for rule in rules} == rules
    pytest.importorskip("kingfisher_sdk")
    assert {kind_of(rule["id"]) for rule in native._native().rules.metadata()} <= KINDS


@pytest.mark.parametrize("strength", INSTALLED)
def test_redaction_leaves_no_secret_and_is_idempotent(strength: Strength) -> None:
    cases = list(secret_cases("tuning", seed=7, each=1))
    done = redact([case.text for case in cases], strength)
    assert sum(item.is_clean for item in done) >= 0.97 * len(done)
    kept = [(case, item) for case, item in zip(cases, done, strict=True) if item.is_clean and item.findings]
    assert len(kept) >= 0.9 * len(cases)
    assert not [case.family for case, item in kept if case.secret in item.text]
    again = redact([item.text for _, item in kept], strength)
    assert [item.text for item in again] == [item.text for _, item in kept]


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_no_text_raises_and_redaction_is_idempotent(text: str) -> None:
    (done,) = redact([text], "fast")
    if done.is_clean:
        assert redact([done.text], "fast")[0].text == done.text
    assert any(scan.mark(item.kind) in done.text for item in done.findings) or not done.findings


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 200), st.integers(1, 9)), max_size=5))
def test_replacing_keeps_every_byte_outside_the_findings(data: bytes, spans: list[tuple[int, int]]) -> None:
    text = data.decode("latin-1").encode("ascii", "ignore").decode()
    findings = merge(Finding(start, min(start + size, len(text)), 1, "jwt") for start, size in spans if start < len(text))
    inside = {byte for item in findings for byte in range(item.start, item.end)}
    outside = "".join(character for index, character in enumerate(text) if index not in inside)
    result = replaced(text, findings)
    assert result.count("<JWT>") >= len(findings)
    assert len(result) == len(outside) + len("<JWT>") * len(findings)


@pytest.mark.parametrize("strength", INSTALLED)
def test_nine_in_ten_secrets_are_found_and_most_clean_texts_pass(strength: Strength) -> None:
    """On formats, places and families that no scanner here was tuned on."""
    secrets = list(secret_cases("test", seed=0))
    clean = list(clean_cases("test", seed=0))
    found = scan.scan([case.text for case in secrets], strength)
    flagged = scan.scan([case.text for case in clean], strength)
    hits = 0
    for case, findings in zip(secrets, found, strict=True):
        shown = case.secret if case.secret in case.text else json.dumps(case.secret)[1:-1]
        start = len(case.text[: case.text.index(shown)].encode())
        hits += any(item.start < start + len(shown.encode()) and item.end > start for item in findings)
    assert hits >= 0.9 * len(secrets)
    assert sum(map(bool, flagged)) <= 0.3 * len(clean)
    assert len({case.family.split("/")[0] for case in secrets}) >= 30


def test_random_texts_have_no_secret() -> None:
    rng = random.Random(5)
    texts = [" ".join(chars(rng, rng.randint(1, 12)) for _ in range(20)) for _ in range(200)]
    assert sum(map(bool, scan.scan(texts, "fast"))) <= 2
