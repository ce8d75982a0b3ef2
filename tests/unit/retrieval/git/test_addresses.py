"""Names of repositories: what is a folder, what a URL, and what is refused without a secret being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import DataError
from luthier.retrieval.git.addresses import address


@pytest.mark.parametrize(
    ("repo", "scheme"),
    [
        ("https://example.org/a/b.git", "https"),
        ("https://example.org:8443/a", "https"),
        ("ssh://git@example.org:2222/a/b", "ssh"),
        ("ssh://example.org/~ann/b", "ssh"),
        ("git://example.org/a", "git"),
        ("git@example.org:a/b.git", "ssh"),
        ("example.org:b", "ssh"),
        ("ssh://[::1]/a", "ssh"),
        ("HTTPS://example.org/a", "https"),
    ],
)
def test_urls(repo: str, scheme: str) -> None:
    found = address(repo, ())
    assert (found.url, found.folder, found.scheme, found.shown) == (repo, None, scheme, repo)


@pytest.mark.parametrize("scheme", ["file", "http", "ext"])
def test_other_protocols_only_where_they_are_allowed(scheme: str) -> None:
    repo = f"{scheme}::sh -c true" if scheme == "ext" else f"{scheme}://host/a"
    with pytest.raises(DataError, match="allow_protocols"):
        address(repo, ())
    found = address(repo, (scheme,))
    assert found.url == repo
    assert found.protocols((scheme,)) == ("https", "ssh", "git", scheme)


@pytest.mark.parametrize(
    "repo",
    [
        "https://ann:hunter2@example.org/a",
        "https://hunter2@example.org/a",
        "ssh://ann:hunter2@example.org/a",
        "https://example.org/a?access_token=hunter2",
        "https://example.org/a#hunter2",
        "https://ann:hun/ter2@example.org/a",
        "https://ann:hunter2@[bad/a",
        "http://ann:hunter2@example.org/a",
        "ext::sh -c 'curl -u ann:hunter2'",
    ],
)
def test_credentials_are_refused_and_not_told(repo: str) -> None:
    with pytest.raises(DataError) as caught:
        address(repo, ())
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_what_a_url_must_not_hold_is_told_with_what_helps() -> None:
    with pytest.raises(DataError, match=r"credentials[\s\S]*ssh URL with a key"):
        address("https://ann:hunter2@example.org/a", ())
    with pytest.raises(DataError, match=r"ends with its path[\s\S]*from `\?` or `#` on"):
        address("https://example.org/a?x=1", ())


def test_a_folder_is_a_folder_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "host:path").mkdir()
    monkeypatch.chdir(tmp_path)
    assert address("host:path", ()).folder == Path("host:path")
    with pytest.raises(DataError, match="no such folder"):
        address("nowhere", ())
    with pytest.raises(DataError, match="no such folder"):
        address("./nowhere:here", ())


def test_control_characters_are_refused_and_not_told() -> None:
    with pytest.raises(DataError) as caught:
        address("https://example.org/a\x1b[31m", ())
    assert "\x1b" not in str(caught.value)
