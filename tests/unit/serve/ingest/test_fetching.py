"""Repositories at URLs that strangers name: which are refused before anyone is asked, and what git is held to."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_repositories import committed, run_git
from ingest_parts import spec
from luthier.core.errors import DataError
from luthier.retrieval.git.addresses import Address
from luthier.retrieval.git.program import Clock, environment
from luthier.serve.ingest.fetching import checked_url, clone, held, is_public, reach
from luthier.serve.ingest.records import Spec

Site = Callable[[str], tuple[Address, list[str]]]
HOSTS = ("github.com", "Git.Example.org")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://github.com/a/b", "not fetched by `http`"),
        ("ssh://git@github.com/a/b", "not fetched by `ssh`"),
        ("git://github.com/a/b", "not fetched by `git`"),
        ("git@github.com:a/b", "no URL"),
        ("file:///etc", "not fetched by `file`"),
        ("ext::sh -c id", "no URL"),
        ("ext::sh -c https://github.com/a/b", "not fetched by `ext::sh -c https`"),
        ("/etc", "no URL"),
        ("--upload-pack=id://x", "not fetched by `--upload-pack=id`"),
        ("https://github.com:8443/a/b", "port of https alone"),
        ("https://ann:secret-word@github.com/a/b", "credentials"),
        ("https://secret-word@github.com/a/b", "credentials"),
        ("https://github.com/a/b?token=secret-word", "ends with its path"),
        ("https://evil.org/a/b", "not fetched from this host"),
        ("https://github.com.evil.org/a/b", "not fetched from this host"),
        ("https://evil.org/github.com/a", "not fetched from this host"),
        ("https://notgithub.com/a/b", "not fetched from this host"),
        ("https://127.0.0.1/a/b", "not fetched from this host"),
        ("https://[::1]/a/b", "not fetched from this host"),
        ("https://github.com\\@evil.org/a", "no name|credentials|not fetched"),
        ("https://github.com/a\n/b", "control characters"),
        ("https://github.com/", "no repository"),
        ("https:///a/b", "no name"),
    ],
)
def test_a_url_is_refused_before_anyone_is_asked(url: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        checked_url(url, HOSTS)
    assert "secret-word" not in str(caught.value)
    assert caught.value.problems[0].where == "repo"


@pytest.mark.parametrize("url", ["http://github.com/a/b", "file:///etc", "ext::sh://x", "HTTP://me:secret-word@github.com/a"])
def test_who_names_another_protocol_is_told_what_is_possible(url: str) -> None:
    with pytest.raises(DataError, match="name it by https") as caught:
        checked_url(url, HOSTS)
    assert "allow_protocols" not in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://github.com/a/b", "https://GitHub.com:443/a/b.git", "https://git.example.org/a", "https://github.com./a/b"]
)
def test_a_url_of_an_allowed_host(url: str) -> None:
    assert checked_url(url, HOSTS).url == url


PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8"),
    *("::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "100::1", "3fff::1", "5f00::1"),
    *("", "localhost", "8.8.8", "0x7f.1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "140.82.121.4", "2606:50c0:8000::153", "2a00:1450:4001:80b::200e"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


OWN = (st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="100.64.0.0/10"), st.ip_addresses(network="fc00::/7"))


@given(st.one_of(OWN))
def test_no_address_of_a_network_of_ones_own_is_public(address: object) -> None:
    assert not is_public(str(address))


@pytest.mark.parametrize("found", [[], ["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::ffff:10.0.0.1"], ["169.254.169.254"]])
def test_a_name_that_leads_to_a_private_address_is_refused_by_any_of_them(found: list[str]) -> None:
    with pytest.raises(DataError, match="not public"):
        held(checked_url("https://github.com/a/b", HOSTS), lambda host, port: found)


def test_a_name_that_nobody_knows() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(DataError, match="host is not known"):
        held(checked_url("https://github.com/a/b", HOSTS), resolve)


def test_git_is_held_to_the_addresses_that_were_looked_at() -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["140.82.121.4", "2606:50c0:8000::153"]

    place = held(checked_url("https://github.com/a/b", HOSTS), resolve)
    assert asked == [("github.com", 443)]
    assert place.reach is not None
    settings = dict(place.reach.settings)
    assert settings["http.curloptResolve"] == "github.com:443:140.82.121.4,[2606:50c0:8000::153]"
    assert settings["http.followRedirects"] == "false"
    assert place.protocols(("file", "http")) == ("https",)


def test_git_gets_no_key_no_proxy_and_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "GIT_ASKPASS", "GITHUB_TOKEN", "LUTHIER_TOKEN"):
        monkeypatch.setenv(name, "leaked-value")
    monkeypatch.setenv("SSL_CERT_FILE", "/certs.pem")
    given_on = environment(("https",), reach("github.com", 443, ["8.8.8.8"]).settings)
    assert "leaked-value" not in given_on.values()
    assert given_on["SSL_CERT_FILE"] == "/certs.pem"
    assert given_on["GIT_ALLOW_PROTOCOL"] == "https"


class _Site(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and redirections below `/moved`."""

    def do_GET(self) -> None:
        seen: list[str] = self.server.seen  # type: ignore[attr-defined]
        seen.append(self.path)
        if self.path.startswith("/moved"):
            self.send_response(301)
            self.send_header("Content-Length", "0")
            self.send_header("Location", self.path.replace("/moved", "/shop.git", 1))
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Git's plain files over https at a name that no resolver knows: addresses of repositories there, and what was asked."""
    folder = tmp_path_factory.mktemp("site")
    committed(folder / "shop", {"shop.py": "def sell() -> None: ...\n"})
    run_git(folder, "clone", "-q", "--bare", str(folder / "shop"), "shop.git")
    run_git(folder / "shop.git", "update-server-info")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=git.test"]
    line += ["-addext", "subjectAltName=DNS:git.test", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(line, check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: _Site(*given, directory=str(folder)))
    server.seen = []  # type: ignore[attr-defined]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    port = server.server_address[1]
    held_to = reach("git.test", port, ["127.0.0.1"])
    # The dumb protocol knows no depth.
    held_to = replace(held_to, settings=(*held_to.settings, ("http.sslCAInfo", str(certificate))))
    try:
        yield lambda path: (Address(path, url=f"https://git.test:{port}/{path}", scheme="https", reach=held_to), server.seen)  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def taken(place: Address, tmp_path: Path, **changes: object) -> Path:
    wanted: Spec = spec(tmp_path, kind="repository", **changes)
    return clone(place, wanted, Clock(30, place.shown), tmp_path, lambda step, done: None)


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(site: Site, tmp_path: Path) -> None:
    place, seen = site("shop.git")
    with pytest.raises(DataError, match="shallow"):  # It was reached: files alone cannot be fetched without history.
        taken(place, tmp_path)
    assert any(path.startswith("/shop.git/info/refs") for path in seen)
    nowhere = replace(place, reach=None)
    with pytest.raises(DataError, match="Could not resolve host"):
        taken(nowhere, tmp_path)


def test_no_redirection_is_followed(site: Site, tmp_path: Path) -> None:
    place, seen = site("moved")
    seen.clear()
    with pytest.raises(DataError, match=r"cannot be fetched[\s\S]*(redirect|301)"):
        taken(place, tmp_path)
    assert seen
    assert all(path.startswith("/moved") for path in seen)


def test_an_old_git_is_not_trusted(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.30.2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    with pytest.raises(DataError, match="cannot be held to an address"):
        taken(site("shop.git")[0], tmp_path)
