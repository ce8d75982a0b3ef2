"""Passwords told in prose and settings: found whole, and not where a text speaks of passwords without telling one."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from luthier.guard.secrets.finders.prose import told
from luthier.guard.secrets.patterns import PatternScanner
from luthier.guard.secrets.scan import redact

# `@` stands for the password.
PLACES = [
    "password: @",
    "Password: @, then press Enter",
    "the password is @",
    "My password is @.",
    "The root password is `@`.",
    "Password for the router is '@'.",
    "the password was changed to @",
    "set the password to @ and log in",
    "log in with the password @",
    "user: bob password: @",
    "pwd=@",
    "pwd = '@'",
    "pw: @",
    "DB_PASSWORD=@",
    "dbPassword: @",
    "password='@'",
    '{"user": "bob", "password": "@"}',
    "**Password:** @",
    "passphrase: @",
    "PGPASSWORD=@ psql -h db",
    "mysql -u root -p@ shop",
    "tool --password @",
    "curl -u bob:@ https://acme.io",
    "sshpass -p @ ssh bob@acme.io",
]
SENTENCES = [
    "Das Passwort lautet @.",
    "Das Passwort für den Server lautet jetzt @, danach Enter.",
    "Unser Datenbank-Passwort ist „@“.",
    "Das Kennwort war @",
    "Le mot de passe est @.",
    "Le mot de passe du serveur est désormais « @ ».",
    "La contraseña es @",
    "La contraseña de la base de datos es: @",
    "La clave del wifi es `@`.",
    "La password è @.",
    "La password di joe è ora @",
    "La parola d'ordine è @",
    "A senha é @.",
    "A senha do banco de dados foi alterada para @",
    "Het wachtwoord luidt @.",
    "Het wachtwoord voor de server is nu '@'",
]
PASSWORDS = ["hunter" + "2", "Xy7!" + "kk2p", "tr0ub" + "4dor"]
STAND_INS = [
    *("<password>", "$PASS", "${PASS2}", "your_password", "your_password1", "changeme", "changeme2", "{{password}}", "{{pass2}}"),
    *("password1", "PASSWORD_2", "******", "%PASS2%", "$(cat f2)", "secret"),
]


def found(text: str) -> list[str]:
    source = text.encode()
    return [source[item.start : item.end].decode() for item in PatternScanner().scan([text])[0]]


@pytest.mark.parametrize("place", [*PLACES, *SENTENCES])
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_that_is_told_is_found_whole(place: str, password: str) -> None:
    assert set(found(place.replace("@", password, 1))) == {password}


@pytest.mark.parametrize("place", [*PLACES, *SENTENCES])
@pytest.mark.parametrize("value", STAND_INS)
def test_what_stands_for_a_password_is_none(place: str, value: str) -> None:
    assert not found(place.replace("@", value, 1))


@pytest.mark.parametrize(
    "text",
    [
        "the password is required",
        "the password is 8 characters long",
        "the password is 12-characters long",
        "the password is 128bit random",
        "the password is sha256-hashed",
        "the password is SHA-256 hashed with PBKDF2",
        "Password: OAuth2",
        "password is base64",
        "password is in config.v2",
        "password is self.x2y3",
        "password = input2",
        "password = kwargs2",
        "connect(password=arg1, user=arg2)",
        "def connect(password: bytes32) -> None: ...",
        "password == 'hunter" + "2'",
        "pwd=/home/bob2",
        "PWD=/tmp/x1y2",
        "passwords are kept in two-factor-2fa",
        "password as of 2024-01-01T10:00",
        "password 1.2.3beta4",
        "compass: hunter" + "2",
        "password_hash: hunter" + "2",
        "Das Passwort ist falsch.",
        "Das Passwort ist mit SHA256 verschlüsselt.",
        "Das Passwort ist 8-12 Zeichen lang.",
        "Das Passwort lautet anders als der Name.",
        "Le mot de passe est incorrect.",
        "Le mot de passe est chiffré avec AES-256.",
        "La contraseña es obligatoria.",
        "La clave primaria es user_id2",
        "La clave es base64",
        "La password è in UTF-8",
        "A senha é obrigatória, com 8caracteres",
        "Het wachtwoord is onjuist.",
    ],
)
def test_texts_about_passwords_tell_none(text: str) -> None:
    assert not found(text)


def test_what_is_told_is_redacted() -> None:
    (done,) = redact(["Log in as bob; the password is hunter" + "2."], "fast")
    assert done.text == "Log in as bob; the password is <PASSWORD>."
    assert done.is_clean


def test_the_standard_library_tells_none() -> None:
    """Thirty megabytes of code and prose that speak of passwords a thousand times; its own tests have some."""
    library = Path(sysconfig.get_path("stdlib"))
    files = [path for path in sorted(library.rglob("*.py")) if not {"site-packages", "test", "tests"} & {*path.parts}]
    assert len(files) > 400, sys.version
    alarms = {path.name: spans for path in files if (spans := list(told(path.read_text(encoding="utf-8", errors="replace"))))}
    assert alarms == {}
