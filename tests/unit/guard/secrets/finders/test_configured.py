"""Passwords in the configuration of servers: found where the setting holds nothing else, and not in prose about it."""

from __future__ import annotations

import pytest

from luthier.guard.secrets.finders.configured import configured
from luthier.guard.secrets.scan import redact

# `@` stands for the password.
PLACES = [
    "requirepass @",
    'port 6379\nrequirepass "@"\nappendonly yes',
    "masterauth @  # of the replica",
    "CONFIG SET requirepass @",
    "redis-cli config set masterauth '@'",
    "Put `requirepass @` into redis.conf.",
    "sentinel auth-pass mymaster @",
    "user alice on >@ ~* +@all",
    "db.acme.io:5432:shop:bob:@",
    "*:*:*:bob:@",
    "rootpw @",
    "bindpw = @",
    "ldap_default_authtok = @",
    "  auth_pass @",
    "set imap_pass = '@'",
    'psk="@"',
    "[client]\nuser=bob\npassword=@\n",
    "enable secret @",
    "enable secret 0 @",
    "username bob privilege 15 password 0 @",
    "snmp-server community @ RO",
    "stats auth admin:@",
    "poll imap.acme.io proto imap user bob pass '@'",
    "[smtp.acme.io]:587 bob:@",
    '"bob" * "@" *',
    "ansible_become_pass: @",
    "rpcuser=bob\nrpcpassword=@",
]
PASSWORDS = ["hunter" + "kx", "Zebra" + "kopf!", "Tr0ub" + "4dor"]


def values(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in configured(text)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("lines", [0, 200])
def test_a_setting_gives_its_password_away(place: str, password: str, lines: int) -> None:
    text = "# a line of a comment\n" * lines + place.replace("@all", "\0").replace("@", password).replace("\0", "@all")
    assert set(values(text)) == {password}
    (done,) = redact([text], "fast")
    assert password not in done.text
    assert done.is_clean


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "value", ["<password>", "$PASS", "${PASS}", "xxxxxx", "your-password", "changeme", "{{ password }}", "required", "foobared"]
)
def test_what_stands_for_a_password_is_none(place: str, value: str) -> None:
    assert values(place.replace("@all", "").replace("@", value)) == []


@pytest.mark.parametrize(
    "text",
    [
        "bob:$apr1$k8J2xQz1$0uZ9wKqT5rY7mN3vB1cX4.",
        "bob:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
        "root:$6$k8J2xQz1abc$Qk2r8ZpL0sYh3vNf6uW1xT9mB4cD7eG5hJ2kL8nP0qR3sT6uV9wX1yZ4aB7cD0eF3gH6iJ9kL2mN5oP8qR1sT4:19000:0:99999:7:::",
        "bob:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=",
        "olcRootPW: {SSHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=",
        '"bob" "md5d41d8cd98f00b204e9800998ecf8427e"',
    ],
)
def test_hashes_of_passwords_beside_a_user_count(text: str) -> None:
    (value,) = set(values(text))
    assert len(value) >= 33


@pytest.mark.parametrize(
    "text",
    [
        "The requirepass setting is off unless it is written.",
        "requirepass and masterauth must be equal",
        "masterauth is what a replica sends",
        "# requirepass foobared",
        "requirepass",
        "enable secret",
        "username and password",
        "username bob password",
        "user interaction such as password prompts",
        "a.py:5432:12:error:",
        "auth_pass = input()",
        "snmp-server community public RO",
        "see [RFC]:12 for more",
        "psk=$PSK",
        "password hash:$6$ is SHA-512",
        "bindpw = os.environ['PW']",
    ],
)
def test_texts_about_settings_hold_none(text: str) -> None:
    assert values(text) == []
