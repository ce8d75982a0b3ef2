"""Passwords that command lines hand to programs: found in the forms that people write, and not where a placeholder stands."""

from __future__ import annotations

import pytest

from luthier.guard.secrets.patterns import PatternScanner

# `@` stands for the password.
PLACES = [
    "machine ftp.acme.io login bob password @",
    "machine ftp.acme.io\n  login bob\n  password @",
    "docker login -u bob -p @",
    "docker login -u bob -p '@' reg.acme.io",
    "podman login --username bob --password @ reg.acme.io",
    'echo "@" | sudo -S ls',
    "echo -n '@' | sudo -k -S ls",
    "printf '%s\\n' '@' | sudo -S ls",
    'sudo -S ls <<< "@"',
    r"net use x: \\srv\share /user:bob @",
    r"net use x: \\srv\share @ /user:bob",
    "mysql -uroot -p@",
    "mysqldump -h db -u root -p'@' shop",
    "curl -u bob:@ https://acme.io",
    "curl -s --user 'bob:@' https://acme.io",
    "sshpass -p @ ssh bob@acme.io",
    "PGPASSWORD=@ psql -h db",
    "MYSQL_PWD='@' mysql shop",
    "https://bob:@@acme.io/x.git",
    "tool --password=@ run",
    "tool --password @ run",
    'tool --password "@" run',
    'curl -H "Authorization: Bearer @" https://acme.io',
]
PASSWORDS = ["hunter" + "22", "Tr0ub4" + "dor_3", "kV9p" + "Q2xL"]
STAND_INS = [
    *(
        "$VAR",
        "${VAR}",
        "<password>",
        "xxx",
        "xxxxx",
        "changeme",
        "***",
        "*****",
        "your-password",
        "example",
        "PASSWORD",
        "DB_PASSWORD",
        "password",
        "mypassword",
    ),
    *("secret", "%PASS%", "{{ password }}", "{password}", "[password]", "$(cat f)", "..."),
]


def found(text: str) -> list[str]:
    source = text.encode()
    return [source[item.start : item.end].decode() for item in PatternScanner().scan([text])[0]]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_on_a_command_line_is_found_whole(place: str, password: str) -> None:
    assert set(found(place.replace("@", password, 1))) == {password}


@pytest.mark.parametrize("place", [*PLACES, "pass = '@'", 'password = "@"'])
@pytest.mark.parametrize("value", STAND_INS)
def test_what_stands_for_a_password_is_none(place: str, value: str) -> None:
    assert not found(place.replace("@", value, 1))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("pass = 'correct" + " horse'", "correct horse"),
        ('db.password = "correct' + ' horse battery"', "correct horse battery"),
        ("tool --password 'correct" + " horse'", "correct horse"),
        ("mysql -uroot -pcorrect" + "-horse", "correct-horse"),
        ("machine a login b password Tr0ub4" + "dor&3", "Tr0ub4dor&3"),
        ("sshpass -p Tr0ub4" + "dor&& ls", "Tr0ub4dor"),
    ],
)
def test_words_count_where_the_place_is_certain(text: str, secret: str) -> None:
    assert secret in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "docker login -u bob --password-stdin reg.acme.io",
        "docker run --name mysql -p3306:3306 mysql",
        "mysql -u root -p shop",
        "mysql --port=3307 -h localhost --protocol=tcp",
        "curl --user-agent=Mozilla:firefox https://acme.io",
        "curl -u bob https://acme.io:8443/path",
        "docker run -u app:developers nginx",
        "sshpass -f /run/pass ssh bob@acme.io",
        "sshpass -p /run/pass ssh bob@acme.io",
        "echo done | sudo tee /etc/motd",
        r"net use x: \\srv\share /user:bob /persistent:yes",
        r"net use x: \\srv\share /user:bob *",
        "Use --password to be asked for it.",
        "run(['tool', '--password=' + value + ' --quiet'])",
        "password = 'show it'",
        "pass = 'must not be empty'",
        "password == 'correct horse'",
        "password: 'correct horse'",
    ],
)
def test_near_ones_are_none(text: str) -> None:
    assert not found(text)
