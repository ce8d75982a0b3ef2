"""What leaves the machine for a teacher tells no private host."""

from __future__ import annotations

import pytest

from luthier.data.clean import secrets
from luthier.data.teacher.masking import sendable
from luthier.guard.secrets import scan


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "scan", lambda texts, strength: scan.scan(texts, "fast"))


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Copy it to 10.20.30.40 and wait.", "Copy it to <HOST> and wait."),
        ("HOSTS = ['172.16.5.9', '192.168.7.8:5432']", "HOSTS = ['<HOST>', '<HOST>:5432']"),
        ("The name is db.prod.lan.", "The name is <HOST>."),
        ("NAMES = [nas.home, wiki.corp, a.intranet]", "NAMES = [<HOST>, <HOST>, <HOST>]"),
        ("It listens on Build.Team.INTERNAL:80", "It listens on <HOST>:80"),
        ("postgresql://bob:<CREDENTIAL_URI>@db.prod.lan/inv", "<URL>"),
    ],
)
def test_private_hosts_are_masked(text: str, sent: str) -> None:
    (done,) = sendable([text])
    assert (done.text, done.is_clean, done.had_secrets) == (sent, True, True)


@pytest.mark.parametrize(
    "text",
    [
        "Use 127.0.0.1 or 172.32.0.1 of 1.10.0.0.1",
        "Path.home() and threading.local()",
        "from app.internal import x",
        "System.getProperty('user.home')",
        "internal.example.org",
    ],
)
def test_what_names_no_private_host_stays(text: str) -> None:
    (done,) = sendable([text])
    assert "<HOST>" not in done.text
