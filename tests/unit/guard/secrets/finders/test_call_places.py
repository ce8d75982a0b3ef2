"""Passwords that calls hand to libraries, that cookies and Redis are told: found whole, and not where something else stands there."""

from __future__ import annotations

import pytest

from luthier.guard.secrets.finders.calls import called
from luthier.guard.secrets.finders.command_lines import handed
from luthier.guard.secrets.patterns import PatternScanner

# `@` stands for the password.
CALLS = [
    'DriverManager.getConnection(url, "shop", "@")',
    'Connection c = DriverManager.getConnection("jdbc:mysql://db/shop?x=1,2", "shop",\n    "@");',
    "DriverManager.getConnection(props.get(URL), user, '@')",
    "mysqli_connect($host, 'shop', '@', 'db')",
    'mysqli_connect("localhost", $user, "@")',
    "$db = new mysqli('localhost', 'shop', '@', 'db');",
    "new PDO('mysql:host=db;dbname=shop', 'shop', '@')",
    "smtp.login('me', '@')",
    'server.login("me", "@")',
    "smtplib.SMTP_SSL('mail').login(user, '@')",
    "self.imap.login(self.user, '@')",
    "requests.get(url, auth=('joe','@'))",
    "session.auth = ('joe', '@')",
    "HTTPBasicAuth('joe','@')",
    "aiohttp.BasicAuth(login='joe', password='@')",
    "$client->get('/', ['auth' => ['joe', '@']]);",
    "axios.get(url, {auth: ['joe', '@']})",
]
MIXED_CALLS = ["client.login('joe', '@')", "await bot.login(user, '@')"]
COMMANDS = [
    "redis-cli AUTH @",
    "redis-cli -h db -p 6379 auth '@'",
    "redis-cli AUTH joe @",
    "127.0.0.1:6379> AUTH @",
    "valkey-cli auth joe @ && ls",
]
COOKIES = [
    "curl --cookie 'sessionid=@' https://a.io",
    "curl --cookie=sessionid=@ https://a.io",
    "curl -s -b 'theme=dark; PHPSESSID=@; lang=en' https://a.io",
    "curl -bsessionid=@ https://a.io",
    "curl -H 'Cookie: lang=en; auth_token=@' https://a.io",
    "Set-Cookie: connect.sid=@; HttpOnly",
]
WORDS = ["Zebra" + "kopf", "hunter" + "kx"]
MIXED = ["Kj8wQz" + "3Lm9!", "tr0ub" + "4dor"]
STAND_INS = [
    *("$PASS", "${PASS}", "<password>", "xxxxx", "changeme", "your-password", "PASSWORD", "password", "secret", "{password}", "...", "***"),
]


def found(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in sorted({*handed(text), *called(text)})]


@pytest.mark.parametrize("place", [*CALLS, *COMMANDS])
@pytest.mark.parametrize("password", [*WORDS, MIXED[0]])
def test_a_password_is_found_whole(place: str, password: str) -> None:
    assert set(found(place.replace("@", password))) == {password}


@pytest.mark.parametrize("place", [*MIXED_CALLS, *COOKIES])
@pytest.mark.parametrize("value", MIXED)
def test_a_value_that_mixes_letters_with_digits_is_found_whole(place: str, value: str) -> None:
    assert set(found(place.replace("@", value))) == {value}
    assert found(place.replace("@", WORDS[0])) == []


@pytest.mark.parametrize("place", [*CALLS, *MIXED_CALLS, *COMMANDS, *COOKIES])
@pytest.mark.parametrize("value", STAND_INS)
def test_what_stands_for_one_is_none(place: str, value: str) -> None:
    assert found(place.replace("@", value)) == []


def test_both_secrets_of_a_cookie_are_found() -> None:
    first, second = MIXED
    assert found(f"curl -b 'csrftoken={first}; theme=dark1; sessionid={second}' https://a.io") == [first, second]


@pytest.mark.parametrize(
    "text",
    [
        "DriverManager.getConnection(url, user, password)",
        'DriverManager.getConnection("jdbc:h2:mem:", "sa", "")',
        'pool.getConnection("first", "second")',
        "mysqli_connect('localhost', 'root', '', 'shop')",
        "mysqli_query($link, 'SELECT 1', 'MYSQLI_USE_RESULT')",
        "smtp.login(user, password)",
        "client.login('home', 'dashboard')",
        "page.login('me', next='/a1/b2c3')",
        "ftp.login('anonymous', '')",
        "auth = ['read', 'write', 'admin2x']",
        "auth=('basic', 'bearer')",
        "author = ('Joe Doe', 'Publisher2')",
        "HTTPBasicAuth(USER, PASSWORD)",
        "curl -b cookies.txt -c cookies.txt https://a.io",
        "curl --cookie 'theme=dark2blue; lang=en' https://a.io",
        "tar -b 20 -cf a.tar sessions=x1y2z3q4",
        "Set-Cookie: sessionid=...; HttpOnly",
        "cookie: {session: true1234}",
        "redis-cli --user app PING",
        "the redis-cli AUTH command is old",
        "redis-cli AUTH",
    ],
)
def test_near_ones_are_none(text: str) -> None:
    assert PatternScanner().scan([text]) == [[]]
