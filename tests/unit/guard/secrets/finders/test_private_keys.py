"""Private keys that lost a mark are found with all lines beside the other; what speaks of keys, and public parts, are left alone."""

from __future__ import annotations

import json
import random
import time

import pytest

from luthier.guard.secrets.finders.private_keys import key_parts
from luthier.guard.secrets.scan import redact

_DRAW = random.Random(7)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
LINES = ["".join(_DRAW.choices(_LETTERS, k=64)) for _ in range(12)] + ["".join(_DRAW.choices(_LETTERS, k=22)) + "=="]
BEGIN, END = "-----BEGIN RSA " + "PRIVATE KEY-----", "-----END RSA " + "PRIVATE KEY-----"
WAYS = {
    "plain": "{}\n",
    "windows": "{}\r\n",
    "indented": "      {}\n",
    "strings": '        "{}\\n"\n',
    "plus": "  '{}\\n' +\n",
    "comment": "# {}\n",
    "slashes": " // {}\n",
    "star": " * {}\n",
    "added": "+{}\n",
    "removed": "-{}\n",
    "escaped": "{}\\n",
    "escaped twice": "{}\\\\n",
    "blanks": "{} ",
    "quoted mail": "> {}\n",
    "yaml": "    - {}\n",
}


def left(text: str) -> list[str]:
    """The lines of the key of which 8 characters still stand in the redacted text."""
    (done,) = redact([text], "fast")
    return [line for line in LINES if any(line[at : at + 8] in done.text for at in range(len(line) - 7))]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("drop", ["begin", "end", "begin and lines", "end and lines", "neither", "a hole"])
def test_no_line_beside_a_mark_is_left(way: str, drop: str) -> None:
    shown = {
        "begin": [*LINES, END],
        "end": [BEGIN, *LINES],
        "begin and lines": [*LINES[5:], END],
        "end and lines": [BEGIN, *LINES[:4]],
        "neither": [BEGIN, *LINES, END],
        "a hole": [BEGIN, *LINES[:3], "<missing>", *LINES[6:], END],
    }[drop]
    text = "key = open(path)\n" + "".join(way.format(line) for line in shown) + "\nreturn handle, key"
    assert not left(text)
    (done,) = redact([text], "fast")
    assert "<PRIVATE_KEY>" in done.text
    assert done.text.startswith("key = open(path)\n")
    assert done.text.endswith("return handle, key")


@pytest.mark.parametrize("way", ["{:>3} | {}\n", "{:>6}\t{}\n", "{}: {}\n", "{}:{}\n", "{:>4} │ {}\r\n"])
@pytest.mark.parametrize("shown", [[BEGIN, *LINES, END], [BEGIN, *LINES[:5]], [*LINES[4:], END]])
def test_numbers_of_lines_hide_no_key(way: str, shown: list[str]) -> None:
    text = "It is:\n" + "".join(way.format(number, line) for number, line in enumerate(shown, 1))
    assert not left(text)


def test_fields_of_a_key_do_not_end_it() -> None:
    encrypted = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0123456789ABCDEF", ""]
    assert not left("\n".join([BEGIN, *encrypted, *LINES]))
    assert not left("\n".join([*LINES, "=aB3d", "-----END PGP " + "PRIVATE KEY BLOCK-----"]))
    putty = [
        "PuTTY-User-Key-File-3: ssh-ed25519",
        "Encryption: none",
        "Comment: bob@host",
        "Public-Lines: 2",
        *LINES[:2],
        "Private-Lines: 1",
        LINES[2],
    ]
    assert not left("\n".join(putty))


@pytest.mark.parametrize(
    "head",
    [
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW",
        "MIIEowIBAAKCAQEAz8u5Jk0d3o4h2m7fQpQkP1S9eTQvK3jvZl2bXy7aVt9oWc1R",
        "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDPy7kmTR3ejiHa",
        "MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY",
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2",
        "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06nwoy",
    ],
)
def test_a_key_is_known_by_how_it_begins(head: str) -> None:
    text = "\n".join(["data:", f"  {head}", *(f"  {line}" for line in LINES), "", "Then the words go on."])
    assert not left(text)
    (done,) = redact([text], "fast")
    assert head[:20] not in done.text
    assert done.text.endswith("Then the words go on.")


def test_the_key_of_a_service_account_is_found_whole_or_cut() -> None:
    whole = json.dumps({"type": "service_account", "private_key": "\n".join([BEGIN, *LINES, END, ""]), "client_id": "1"}, indent=1)
    at = whole.index(LINES[6])
    for text in (whole, whole[:at], whole[whole.index(LINES[1]) :]):
        assert not left(text)


def test_what_speaks_of_keys_or_is_public_is_left() -> None:
    certificate = "\n".join(["-----BEGIN CERTIFICATE-----", *LINES, "-----END CERTIFICATE-----"])
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHwXhWQ3mVbq8xk1ZkV3c9vWl0tXwz1Yl6nP9sQ4rT2u bob@host"
    texts = [
        certificate,
        public,
        "It ends with -----END " + "PRIVATE KEY----- on a line of its own.",
        "\n".join(LINES),
        "MII is how the base64 of a sequence begins, as in MIIEowIBAAK...",
        "def read_private_key(text): ...",
    ]
    assert [list(key_parts(text)) for text in texts] == [[]] * len(texts)
    spoken = "A file that begins with " + BEGIN + " holds a key, and the reader looks for the last line."
    assert [spoken[start:end] for start, end, _ in key_parts(spoken)] == [BEGIN]


def test_the_time_is_linear() -> None:
    started = time.process_time()
    for piece in (BEGIN, END, BEGIN + "\n" + LINES[0] + "\n", LINES[0] + "\n" + END, "MIIEowIBAAKCAQEA", "-----BEGIN ", "\\n" * 9 + END):
        list(key_parts((piece * (300_000 // len(piece)))[:300_000]))
    assert time.process_time() - started < 15
