"""Secrets by their place among the arguments of a call, or by the name of the method: found whole, and nothing that code puts together."""

from __future__ import annotations

import time
import tomllib

import pytest

from luthier.guard.secrets.finders.calls import TABLE, called

PASSWORD = "tr0ub" + "4dor"
KEY = "pQ7x" + "LmZ92vRt" + "Y4kWb1Nc"
# `@` stands for the secret.
CALLS = [
    'smtp.PlainAuth("", "me", "@", "mail.acme.io")',
    'new UsernamePasswordCredentials("me", "@")',
    'new PasswordAuthentication("me", "@".toCharArray())',
    'client.get(url).basic_auth("me", Some("@")).send()',
    'client.basic_auth("me".to_string(), Some(String::from("@")))',
    'ssh.connect("web1", 22, "me", "@")',
    'redis.Redis("cache", 6379, 0, "@")',
    'MySQLdb.connect("localhost", "me", "@", "shop")',
    'cx_Oracle.connect("me", "@", "db/x")',
    'cx_Oracle.connect("me/@" + "@db.acme.io/x")'.replace('" + "@db', "\0db"),
    'sql.Open("mysql", "me:@\0/shop")',
    "ftp_login($c, 'me', '@');",
    "$ssh->login('me', '@');",
    'curl_setopt($ch, CURLOPT_USERPWD, "me:@");',
    'btoa("me:@")',
    'l.Bind("cn=me,dc=acme", "@")',
    'keyStore.load(stream, "@".toCharArray())',
    'request.basic_auth "me", "@"',
    'Net::SMTP.start("mail", 25, "acme.io", "me", "@", :login)',
    'PQsetdbLogin("db", "5432", NULL, NULL, "shop", "me", "@")',
    'dataSource.setPassword("@");',
    'client.builder().username("me").password("@").build()',
    'z.setpassword(bytes("@", "utf-8"))',
    "set_password(\n    '@',\n)",
    '{"code": "c.setPassword(\\"@\\");"}',
    'İş("x"); c.setPassword("@")',
    'setPassword(hash("a", b), "@")',
]
KEYS = [
    'jwt.sign({ id: [7, 8] }, "@", { expiresIn: "1h" })',
    "JWT.encode payload, '@', 'HS256'",
    'hmac.New(sha256.New, []byte("@"))',
    'hmac.new(b"@", body, hashlib.sha256)',
    'Keys.hmacShaKeyFor("@".getBytes(StandardCharsets.UTF_8))',
    "hash_hmac('sha256', $data, '@')",
    'client.setApiKey("@")',
    'request.with_token("@")',
    'res.cookie("session_id", "@", { httpOnly: true })',
    'bot.login("@")',
]
NO_SECRETS = [
    'setPassword("@" + salt)',
    'setPassword(f"{prefix}@")',
    'getPassword("@")',
    'vault.get_secret("@")',
    'token("@", kind="name")',
    'req.SetBasicAuth("@", password)',
    'smtp.PlainAuth("@", user, password, host)',
    'ftp.login("anonymous", "@")',
    'stmt.bind(1, "@")',
    'wifi.connect("@", 22, "a", "b")',
    'res.cookie("theme", "@")',
    'setPassword(prompt("new", "@"), user)',
    'setPassword("a", "b", "c", "@")',
    "setPassword @",
]


def found(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in called(text)]


@pytest.mark.parametrize("call", CALLS)
def test_a_password_is_found_whole(call: str) -> None:
    assert set(found(call.replace("@", PASSWORD).replace("\0", "@"))) == {PASSWORD}


@pytest.mark.parametrize("call", KEYS)
def test_a_key_is_found_whole(call: str) -> None:
    assert set(found(call.replace("@", KEY))) == {KEY}


@pytest.mark.parametrize("call", NO_SECRETS)
def test_what_is_put_together_or_stands_elsewhere_is_none(call: str) -> None:
    assert found(call.replace("@", PASSWORD)) == []


@pytest.mark.parametrize("value", ["IDENTIFIER_2", "number7", "keyword", "kw-if2", "end2end"])
def test_names_in_code_are_no_keys(value: str) -> None:
    assert [call for call in KEYS if found(call.replace("@", value))] == []


def test_each_name_of_the_table_is_looked_for() -> None:
    """As it stands there, in the writing of Java and in that of Python."""
    rows = [row for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["call"] if row.get("takes") == "key" and "receiver" not in row]
    names = [name for row in rows for name in row["names"] if row["position"] == 2]
    assert len(names) > 20
    for name in names:
        for written in (name, name.upper(), f"{name[:-2]}_{name[-2:]}", f"{name[:-4]}_{name[-4:]}"):
            assert found(f'{written}(first, "{KEY}")') == [KEY], written


def test_a_long_line_of_brackets_takes_little_time() -> None:
    started = time.process_time()
    for text in ('token("' * 20_000, "password(" * 20_000 + '"', 'connect("a", ' * 10_000, "auth " * 40_000 + '("'):
        list(called(text))
    assert time.process_time() - started < 5


def test_drawn_letters_with_one_digit_are_no_name_with_a_number() -> None:
    drawn = "aQVX" + "xevy6v"
    assert found(f's.login("joe", "{drawn}")') == [drawn]
    assert found('s.login("home", "nextPage2")') == []
