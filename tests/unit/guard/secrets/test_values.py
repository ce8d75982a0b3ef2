"""Values go whole, in every way they are written, and names of code are none."""

from __future__ import annotations

import pytest

from luthier.guard.secrets.scan import redact

MIXED_PASSWORD = "Tr0ub" + "4dor"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"Password={MIXED_PASSWORD}&3;", "Password=<PASSWORD>;"),
        (f"Server=a;User Id=sa;Password={MIXED_PASSWORD}(x|y);Pooling=no", "Server=a;User Id=sa;Password=<PASSWORD>;Pooling=no"),
        (f"the root password: {MIXED_PASSWORD}&3", "the root password: <PASSWORD>"),
        (f"password={MIXED_PASSWORD}&user=bob", "password=<PASSWORD>&user=bob"),
        (f"password={MIXED_PASSWORD}&&ls", "password=<PASSWORD>&&ls"),
        (f"password = '{MIXED_PASSWORD};*x'", "password = '<PASSWORD>'"),
        ("db_password: 'p@ss w0rd'", "db_password: '<PASSWORD>'"),
        ('password: "a\\"bSecret99" # so', 'password: "<PASSWORD>" # so'),
        ("export DB_PASS=hunter" + "2", "export DB_PASS=<PASSWORD>"),
        ("the password for admin is 'Sommer" + "2024!'", "the password for admin is '<PASSWORD>'"),
        ("Passwort: Gurkensalat" + "99", "Passwort: <PASSWORD>"),
        ("contraseña: hunter" + "2zz9", "contraseña: <PASSWORD>"),
        ("パスワード: hunter" + "2zz", "パスワード: <PASSWORD>"),
        ("set PASSWORD to Blue-Monkey-" + "77", "set PASSWORD to <PASSWORD>"),
        ("Your passphrase is correct-horse-" + "77-battery", "Your passphrase is <PASSWORD>"),
        ("PIN: 88" + "32", "PIN: <PASSWORD>"),
        ("the pin code is 88" + "32", "the pin code is <PASSWORD>"),
        ("api key is 9f8e7d6c5b4a3928" + "1706f5e4d3c2b1a0.", "api key is <API_KEY>."),
        ("use hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz12345678", "use <HUGGINGFACE_TOKEN>"),
    ],
)
def test_a_value_goes_whole(text: str, redacted: str) -> None:
    (done,) = redact([text], "fast")
    assert (done.text, done.is_clean) == (redacted, True)


@pytest.mark.parametrize(
    "text",
    [
        'names = ("tokens", "symbol2label"): ...',
        "auth = urllib.parse.unquote_to_bytes(value)",
        "proxy_auth = base64.b64encode(user.encode())",
        "token = tokens2d.first_of_line[0]",
        "is_auth = pwd_manager.is_authenticated(request_url)",
        "__all__ = ['HTTPPasswordMgr', 'HTTPPasswordMgrWithDefaultRealm']",
        "capabilities = 'LOGINDISABLED AUTH=CRAM-MD5'",
        "password: 'must be 8 characters'",
        "label = 'Enter a password' if x2 else 'Password for %s'",
        "GPIO pin: 8832",
        "PIN: 1234",
        "PIN 8832",
        "the opinion is 8832",
        "first_pass: hunter" + "2",
        "the token is a string of 32 characters",
        "api key is required_for_all_2_calls",
        "hf_" + "1234567890abcdefghijklmnopqrstuv",
    ],
)
def test_names_of_code_and_words_are_no_values(text: str) -> None:
    (done,) = redact([text], "fast")
    assert done.text == text
