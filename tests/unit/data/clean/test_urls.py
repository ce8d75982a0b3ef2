from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning_parts import row
from luthier.data.clean.secrets import Masking, masked
from luthier.data.clean.urls import CREDENTIALS, PRIVATE_HOST, private_hosts, urls

DRAWN = "q8Zt3Lw9" + "Kd72Vb"


def kinds(text: str) -> list[tuple[str, str]]:
    return [(text[url.start : url.end], url.kind) for url in urls(text)]


@pytest.mark.parametrize(
    "url",
    [
        f"https://alice:{DRAWN}@git.acme.com/x.git",
        "ftp://admin:swordfish@files.acme.com",
        f"postgres://app:{DRAWN}@db.acme.com:5432/app",
        f"https://{DRAWN}{DRAWN}@github.com/a/b",
        f"https://api.acme.com/v1?access_token={DRAWN}",
        f"https://x.blob.acme.com/a?sv=2022&sig={DRAWN}",
        f"https://api.acme.com/#api_key={DRAWN}",
    ],
)
def test_urls_with_credentials(url: str) -> None:
    assert kinds(f"See {url}.") == [(url, CREDENTIALS)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:<CREDENTIAL_URI>@db.prod.lan/inv",
        "https://<GITHUB_TOKEN>@github.com/a/b",
        "https://<GITHUB_TOKEN>:x-oauth-basic@github.com/a/b",
        "mongodb+srv://app:<GENERIC_SECRET>@db.acme.com:27017/app?w=1",
    ],
)
def test_a_mark_in_credentials_tells_of_credentials(url: str) -> None:
    assert kinds(f"See https://a.org/b, {url}, and https://a.org/c.") == [
        ("https://a.org/b", ""),
        (url, CREDENTIALS),
        ("https://a.org/c", ""),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://10.1.2.3/x",
        "http://192.168.0.7:8080",
        "ssh://172.20.1.1",
        "http://[fd12:3456::1]/",
        "http://100.64.3.2/",
        "https://wiki.acme.internal/page",
        "http://printer.local",
        "https://git.acme.corp/a",
        "http://intranet/start",
        "redis://cache01:6379/0",
    ],
)
def test_urls_of_private_hosts(url: str) -> None:
    assert kinds(f"See <{url}>, please") == [(url, PRIVATE_HOST)]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a?b=c#d",
        "http://localhost:3000",
        "http://127.0.0.1:8000/",
        "http://[::1]:80/",
        "http://0.0.0.0:80",
        "http://192.0.2.7/",
        "http://169.254.169.254/latest",
        "https://user:password@example.com",
        "https://user:$TOKEN@example.com",
        "ssh://git@github.com/a/b",
        "https://api.acme.com/?token=YOUR_TOKEN",
        "https://api.acme.com/?token=$TOKEN",
        "https://api.acme.com/?key=name",
        "http://hostname:port/",
        "http://{{host}}/",
        "http://${HOST}:80/",
        "http://host_ip/x",
        "https://172.32.0.1/",
    ],
)
def test_urls_that_are_no_secrets(url: str) -> None:
    assert [kind for _, kind in kinds(f"See {url} now")] == [""]


@pytest.mark.parametrize(
    "text", ["s3://bucket/key", "file:///etc/hosts", "a://b", "http:// x", "https://user:<PASSWORD>@host/", "no url", "://"]
)
def test_what_is_no_url_of_a_network(text: str) -> None:
    assert kinds(text) == []


def test_what_stands_around_is_no_part() -> None:
    assert kinds("(see https://a.org/b_(c)), or [x](https://a.org/d). 'https://a.org/e'") == [
        ("https://a.org/b_(c)", ""),
        ("https://a.org/d", ""),
        ("https://a.org/e", ""),
    ]


@given(st.text(alphabet=st.sampled_from("htps:/@.?=&#[]<>%a1 \n"), max_size=60).map(lambda text: f"http://{text}"))
def test_no_text_raises(text: str) -> None:
    assert all(0 <= url.start < url.end <= len(text) for url in urls(text))


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("ssh deploy@build.corp.local", ["build.corp.local"]),
        ("scp a.txt bob@files.lan:/srv", ["files.lan"]),
        ("Server=db.internal;Database=x", ["db.internal"]),
        ('{"host": "cache.prod.internal"}', ["cache.prod.internal"]),
        ("Data Source=tcp:sql.corp,1433", ["sql.corp"]),
        ("ping -c 1 printer.lan.", ["printer.lan"]),
        ("git@code.intranet:team/app.git", ["code.intranet"]),
        ("ssh bob@host.local", []),
        ("self.server = threading.local()", []),
        ("host = config.internal", ["config.internal"]),
        ("from app.internal import x", []),
        ("ssh bob@acme.io", []),
        ("server=threading.local()", []),
        ("host=a.internal.example.org", []),
    ],
)
def test_private_hosts_outside_of_urls(text: str, hosts: list[str]) -> None:
    assert [text[start:end] for start, end in private_hosts(text)] == hosts
    (done,) = masked([row("Where is it?", text)], [Masking("mask", "keep", "keep")], "fast")
    assert done.row is not None
    said = done.row.fields.messages[1].content
    assert not [host for host in hosts if host in said]
    assert said.count("<HOST>") == len(hosts)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://167903236/x", PRIVATE_HOST),
        ("http://0x0a020304/x", PRIVATE_HOST),
        # Loopback says nothing about anybody, in whichever form.
        ("http://2130706433/", ""),
        ("http://134744072/", ""),
    ],
)
def test_one_number_is_an_address(url: str, kind: str) -> None:
    assert [found.kind for found in urls(url)] == [kind]
