"""Hosts: which one a word names, and what is one's own."""

from __future__ import annotations

import pytest

from luthier.guard.risk.hosts import host_of, is_own_host


@pytest.mark.parametrize(
    ("word", "host"),
    [
        ("https://Get.Example.org:8443/x?y#z", "get.example.org"),
        ("anna@host.example.org:/srv", "host.example.org"),
        ("user:pass@word@example.org", "example.org"),
        ("https://evil.example?@example.org/", "evil.example"),
        ("https://evil.example#.example.org", "evil.example"),
        ("http://[::1]:80/x", "::1"),
        ("fe80::1", "fe80::1"),
        ("example.org.", "example.org"),
        ("localhost:8000", "localhost"),
        ("https://evil.example\\@example.org/", ""),
        ("https://ex%61mple.org/", ""),
        ("https://exa mple.org", ""),
        ("https:///x", ""),
        ("a" * 254, ""),
        ("", ""),
        ("-", ""),
    ],
)
def test_host(word: str, host: str) -> None:
    assert host_of(word) == host


@pytest.mark.parametrize(
    "host", ["localhost", "127.3.4.5", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.9", "0.0.0.0", "::1", "fd00::1"]
)
def test_own(host: str) -> None:
    assert is_own_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "localhost.example.org", "10.example.org", "172.32.0.1", "169.254.169.254", "203.0.113.4", "8.8.8.8", "2001:db8::1", "10.1"],
)
def test_not_own(host: str) -> None:
    assert not is_own_host(host)
