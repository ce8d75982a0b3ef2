"""Repositories at URLs that strangers name: which are refused before anyone is asked, and what git is held to."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_repositories import committed, run_git
from ingest_parts import spec
from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError
from luthier.retrieval.git import reaching
from luthier.retrieval.git.addresses import Address, Reach
from luthier.retrieval.git.program import Clock, Git, environment
from luthier.retrieval.git.reaching import VARIABLE, Rule, address_within, checked_url, held, is_public, reach
from luthier.retrieval.repository.reading import identify, read_repository
from luthier.serve.ingest.fetching import clone, of_the_request
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
    with pytest.raises(DataError, match=said) as caught, of_the_request():
        checked_url(url, HOSTS)
    assert "secret-word" not in str(caught.value)
    assert caught.value.problems[0].where == "repo"


@pytest.mark.parametrize("url", ["https://ann:word@github.com/a/b", "https://github.com/a/b?x=1#y", "https://github.com/a/b#y"])
def test_nobody_is_sent_to_keys_that_git_is_not_handed(url: str) -> None:
    with pytest.raises(DataError) as caught:
        checked_url(url, HOSTS)
    assert "ssh" not in caught.value.problems[0].hint
    assert "netrc" not in caught.value.problems[0].hint
    assert ("clone it and name the folder" in caught.value.problems[0].hint) == ("@" in url)


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
def test_a_name_that_leads_to_a_private_address_is_refused_by_any_of_them(found: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not public"):
        held(checked_url("https://github.com/a/b", HOSTS), git(tmp_path), lambda host, port: found)


def git(folder: Path) -> Git:
    return Git(folder, Clock(30, "a repository"))


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(DataError, match="host is not known"):
        held(checked_url("https://github.com/a/b", HOSTS), git(tmp_path), resolve)


def test_git_is_held_to_the_addresses_that_were_looked_at(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["140.82.121.4", "2606:50c0:8000::153"]

    place = held(checked_url("https://github.com/a/b", HOSTS), git(tmp_path), resolve)
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
    with pytest.raises(DataError, match=r"cannot be fetched[\s\S]*(redirect|301)") as caught:
        taken(place, tmp_path)
    assert "clone it and name the folder" in caught.value.problems[0].hint
    assert seen
    assert all(path.startswith("/moved") for path in seen)


def test_an_old_git_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.30.2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    with pytest.raises(DataError, match="cannot be held to an address"):
        held(checked_url("https://github.com/a/b", HOSTS), git(tmp_path), lambda host, port: ["140.82.121.4"])


# A process that works for others, as the jobs of a server do.


def ruled(monkeypatch: pytest.MonkeyPatch, *hosts: str, own: tuple[str, ...] = ()) -> None:
    for name, value in Rule(hosts, own).environment().items():
        monkeypatch.setenv(name, value)


def test_a_person_fetches_from_anywhere() -> None:
    for repo in ("https://10.0.0.1/a/b", "git@10.0.0.1:a/b", "file:///a/b"):
        place = address_within(repo, ("file",))
        assert (place.url, place.reach, place.must_be_held) == (repo, None, False)


@pytest.mark.parametrize("repo", ["https://evil.org/a/b", "git@github.com:a/b", "file:///a/b", "http://github.com/a/b", "/no/such/folder"])
def test_a_process_with_a_rule_fetches_from_its_hosts_alone(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ruled(monkeypatch, "github.com")
    with pytest.raises(DataError):
        address_within(repo, ("file", "http"))
    assert address_within("https://github.com/a/b", ()).must_be_held


def test_what_the_owner_named_is_fetched_as_the_owner_would(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ruled(monkeypatch, "github.com", own=("git@10.0.0.1:a/b",))
    assert not address_within("git@10.0.0.1:a/b", ()).must_be_held
    assert address_within(str(tmp_path), ()).folder == tmp_path


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hosts": 1, "own": []}', '{"hosts": []}'])
def test_a_rule_that_cannot_be_read_lets_nothing_be_fetched(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(DataError, match="no rule"):
        address_within("https://github.com/a/b", ())


def entry_of(place: Address, commit: str = "HEAD") -> SourceEntry:
    return SourceEntry.model_validate({"repo": place.url, "commit": commit})


@pytest.fixture
def near(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[SourceEntry, list[str], list[str]]]:
    """Entries of repositories at the site, which this process may fetch from: its name leads to it once, and elsewhere from then on."""
    place, seen = site("shop.git")
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    assert place.reach is not None
    certificate = next(setting for setting in place.reach.settings if setting[0] == "http.sslCAInfo")
    made = reaching.reach

    def trusting(host: str, port: int, found: list[str], is_newest_alone: bool) -> Reach:
        held_to = made(host, port, found, is_newest_alone)
        return replace(held_to, settings=(*held_to.settings, certificate))

    ruled(monkeypatch, "git.test")
    monkeypatch.setattr(reaching, "_PORT", urlsplit(place.url or "").port)
    monkeypatch.setattr(reaching, "resolved", resolve)
    monkeypatch.setattr(reaching, "reach", trusting)
    seen.clear()
    return lambda path: (entry_of(site(path)[0]), seen, asked)


Near = Callable[[str], tuple[SourceEntry, list[str], list[str]]]


def test_a_name_that_leads_to_this_machine_is_not_asked(near: Near, tmp_path: Path) -> None:
    entry, seen, asked = near("shop.git")
    for ask in (lambda: identify(entry), lambda: read_repository(entry, tmp_path, lambda step, done, of: None)):
        asked.clear()
        with pytest.raises(DataError, match="not public"):
            ask()
    assert seen == []


def test_a_name_is_asked_for_once(near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "is_public", lambda address: address == "127.0.0.1")
    entry, seen, asked = near("shop.git")
    reading = read_repository(entry, tmp_path, lambda step, done, of: None)
    assert [file.path for file in reading.files] == ["shop.py"]
    # Rows are made of the history too.
    assert len(reading.commits) == 1
    assert asked == ["git.test"]
    assert seen


def test_a_process_with_a_rule_follows_no_redirection(near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "is_public", lambda address: address == "127.0.0.1")
    entry, seen, _ = near("moved")
    with pytest.raises(DataError, match=r"cannot be fetched[\s\S]*(redirect|301)"):
        read_repository(entry, tmp_path, lambda step, done, of: None)
    assert seen
    assert all(path.startswith("/moved") for path in seen)


def test_what_is_kept_is_read_without_asking_anybody(near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "is_public", lambda address: address == "127.0.0.1")
    entry, seen, asked = near("shop.git")
    commit = read_repository(entry, tmp_path, lambda step, done, of: None).commit
    seen.clear()
    kept = entry.model_copy(update={"commit": commit})
    assert read_repository(kept, tmp_path, lambda step, done, of: None).commit == commit
    assert identify(kept)[1] == commit
    assert (seen, asked) == ([], ["git.test"])
