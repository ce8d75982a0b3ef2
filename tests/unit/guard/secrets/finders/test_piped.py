"""Passwords that programs read from their standard input: found in each way to write one there, and no other word of the command."""

from __future__ import annotations

import pytest

from luthier.guard.secrets.finders.piped import piped
from luthier.guard.secrets.scan import redact

WORD, OTHER = "hunter" + "kx", "Zebra" + "kopf!"
# `@` stands for the password.
PLACES = [
    "echo 'bob:@' | chpasswd",
    'echo "bob:@" | sudo chpasswd',
    "echo bob:@ | /usr/sbin/chpasswd",
    "echo bob:@ | sudo -u root /usr/sbin/chpasswd -e",
    "printf 'bob:@\\n' | sudo chpasswd",
    "printf 'bob:%s\\n' '@' | chpasswd",
    "printf '%s:%s\\n' bob '@' | chpasswd",
    "RUN echo 'root:@' | chpasswd && rm -rf /tmp/x",
    '"cmd": "echo \\"bob:@\\" | chpasswd"',
    "chpasswd <<< bob:@",
    "sudo chpasswd <<< 'bob:@'",
    "chpasswd <<EOF\nbob:@\nEOF\necho done:later",
    "sudo chpasswd -c SHA512 <<-'END'\n\tbob:@\n\tEND",
    "cat <<EOF | chpasswd\nbob:@\nEOF",
    "echo '@' | passwd --stdin bob",
    'echo -e "@\\n@" | passwd bob',
    "(echo '@'; echo '@') | smbpasswd -s -a bob",
    "printf '@\\n@\\n' | smbpasswd -s bob",
    "yes '@' | passwd bob",
    "echo @ | docker login -u bob --password-stdin",
    "echo '@' | podman login -u bob --password-stdin reg.acme.io",
    "printf '%s' '@' | helm registry login reg -u bob --password-stdin",
    "docker login -u bob --password-stdin <<< @",
    "echo -n @ | cryptsetup luksOpen /dev/sda1 x -",
    'echo "@" | gpg --batch --passphrase-fd 0 -d x',
    'echo "@" | kinit bob',
    "echo @ | sudo -S ls",
    'vncpasswd -f <<< "@"',
    'echo "$user:@" | chpasswd',
    'echo "${user}:@" | chpasswd',
    "docker login -u bob --password-stdin <<EOF\n@\nEOF",
]


def values(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in piped(text)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("password", [WORD, OTHER, "Tr0ub" + "4dor"])
def test_what_is_written_to_such_a_program_is_found_whole(place: str, password: str) -> None:
    text = place.replace("@", password)
    assert values(text) == [password] * place.count("@")
    (done,) = redact([text], "fast")
    assert password not in done.text
    assert done.is_clean


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", ["$PASS", "${PASS}", "<password>", "xxxxxx", "your-password", "changeme", "$(cat file)", "password"])
def test_what_stands_for_a_password_is_none(place: str, value: str) -> None:
    assert values(place.replace("@", value)) == []


def test_all_users_of_a_document_are_found() -> None:
    assert values(f"chpasswd <<EOF\nbob:{WORD}\nal:{OTHER}\nEOF\ncy:later\n") == [WORD, OTHER]
    assert values(f'echo -e "bob:{WORD}\\nal:{OTHER}" | chpasswd') == [WORD, OTHER]
    assert values(f"echo 'bob:{WORD}\nal:{OTHER}' | chpasswd") == [WORD, OTHER]


@pytest.mark.parametrize(
    "text",
    [
        "cat users.txt | chpasswd",
        "chpasswd < users.txt",
        "openssl rand -base64 12 | passwd --stdin bob",
        "echo done; cat f | chpasswd",
        "echo 'now run chpasswd to set it'",
        "grep bob /etc/passwd | cut -d: -f1",
        "echo hello | sudo tee /etc/motd",
        "echo something | sudo -u bob cat",
        "pass show docker | docker login -u bob --password-stdin",
        "ls | grep passwd",
        "echo 12345678 | chpasswd",
        "su - bob <<EOF\nmake install\nEOF\n--password-stdin",
        "echo 'bob:later' > file; chpasswd < file",
    ],
)
def test_other_pipes_hold_none(text: str) -> None:
    assert values(text) == []
