"""Which names the server answers to."""

from __future__ import annotations

import socket

import pytest

from luthier.serve.door.hosts import address_of, hosts_of, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_on_this_machine_alone_it_answers_to_its_names(host: str) -> None:
    assert is_loopback(host)
    hosts = hosts_of(host, ["models.example"])
    for header in ("127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]:8000", "localhost.", "models.example", "Models.Example:443"):
        assert hosts.is_one(header), header
    for header in (
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "localhost.evil.example:8000",
        "[::2]:1",
        "192.0.2.1",
        "x.models.example",
        # No address can be made of these.
        "[::1",
        "[::1]x",
        "[127.0.0.1]",
        "localhost:[",
        "localhost:a@b",
    ):
        assert not hosts.is_one(header), header


def test_what_is_no_address_has_no_parts() -> None:
    assert address_of("http://models.example:80/ui").netloc == "models.example:80"
    for nonsense in ("http://[", "http://[127.0.0.1]/", "null", ""):
        assert address_of(nonsense).netloc == "", nonsense


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "box.example"])
def test_open_to_others_it_answers_to_addresses_but_to_no_other_name(host: str) -> None:
    assert not is_loopback(host)
    hosts = hosts_of(host, ["models.example"])
    own = host if ":" not in host else "[::]"
    for header in ("192.0.2.1:8000", "[2001:db8::1]:8000", "localhost", "models.example", socket.gethostname(), own):
        assert hosts.is_one(header), header
    for header in ("evil.example", "192.0.2.1.evil.example", "", "2001:db8::1"):
        assert not hosts.is_one(header), header
