from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.clean.personal import personal


def masked(text: str) -> str:
    for start, end, _, written in reversed(personal(text)):
        text = text[:start] + written + text[end:]
    return text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Write to alice.smith@acme.com, please.", "Write to <EMAIL>, please."),
        ("mailto:bob+lists@uni-bonn.de", "mailto:<EMAIL>"),
        ("--email=carol@acme.io", "--email=<EMAIL>"),
        ("Call +49 30 901820 or +1 (415) 867-5309.", "Call <PHONE> or <PHONE>."),
        ("tel:+442079460123", "tel:<PHONE>"),
        ("Reach us: (212) 736-5029.", "Reach us: <PHONE>."),
        ("Phone: 415-867-2671, fax 415.867.2672", "Phone: <PHONE>, fax <PHONE>"),
        ("call me at 415-867-2671", "call me at <PHONE>"),
        ("tel 030/1234568 or mobile: 0171 2345699", "tel <PHONE> or mobile: <PHONE>"),
        ("Telefon 030 901820", "Telefon <PHONE>"),
        ('{"phone": "415-867-2671"}', '{"phone": "<PHONE>"}'),
        ("+49 30 12345678", "<PHONE>"),
        ("His SSN is 536-22-8726.", "His SSN is <SSN>."),
        ("social security number: 536-22-8726", "social security number: <SSN>"),
        ("to GB82 WEST 1234 5698 7654 32 now", "to <IBAN> now"),
        ("DE89370400440532013000", "<IBAN>"),
        ("DE89 3704 0044 0532 0130 00 IS MINE", "<IBAN> IS MINE"),
        ("card 4111 1111 1111 1111, amex 3782-822463-10005", "card <CARD>, amex <CARD>"),
        ("from 93.184.216.34 at noon", "from <IP> at noon"),
        ("ping 2a00:1450:4001:82a::200e", "ping <IP>"),
        ("cd /home/alice/src", "cd /home/user/src"),
        ("ls /Users/carol", "ls /Users/user"),
        (r"C:\Users\Dave\x.txt", r"C:\Users\user\x.txt"),
        ("Signed-off-by: Alice Smith <alice@acme.com>", "Signed-off-by: <NAME> <EMAIL>"),
        ("fix\n\nCo-authored-by: Bob <bob@users.noreply.github.com>", "fix\n\nCo-authored-by: <NAME> <bob@users.noreply.github.com>"),
        ("#  Author: Carol Jones <carol@acme.com>", "#  Author: <NAME> <EMAIL>"),
        ("Author: Carol Jones <carol@acme.com>", "Author: <NAME> <EMAIL>"),
        ("Return-Path: <carol@acme.com>", "Return-Path: <EMAIL>"),
        ("zooko@zooko.com, carol@one.com", "<EMAIL>, <EMAIL>"),
    ],
)
def test_what_is_masked(text: str, result: str) -> None:
    assert masked(text) == result
    assert masked(result) == result


@pytest.mark.parametrize(
    "text",
    [
        "alice@example.com, bob@mail.example.org, a@b.test, c@d.invalid, e@example.net",
        "git clone git@github.com:a/b.git",
        "ssh user@host, scp f root@10.0.0.1:/tmp, ssh alice@server",
        "npm i left-pad@1.3.0 @types/node@20.1.2",
        "go get github.com/spf13/cobra@v1.8.0",
        "systemctl start getty@tty1.service",
        "y = A@B.transpose(1, 2) + a@b.weight",
        "icon@2x.png",
        "@app.route('/')",
        "https://alice@bitbucket.org/a/b",
        "noreply@github.com",
        "builds-noreply@acme.com, 1+ann@users.noreply.gitlab.com",
        "email-sig@python.org, git-dev@lists.acme.org",
        'tolist=["one@one.org","two@two.org","three@three.org"], foo@bar.com, a@b.com, aaa@bbb.org',
        "tail -c +1000000000 f",
        "x = +1.2345678901",
        "+1 555 0100 and +1 202 555 0143",
        "415-867-2671 and 536-22-8726 and part (212) of 736",
        "call (212) 555-0143 or phone 555-0143",
        "call 3 times, call 10 20 30, call f(2) 100-200, tel 2024-05-17, phone 12.05.2024",
        "SSN 123-45-6789, SSN 000-12-3456, ssn = 900-12-3456",
        "recall 415-867-2671, systemcall 415-867-2671",
        "@@ -1,7 +12345678901 @@",
        "10.0.0.1 127.0.0.1 192.0.2.1 203.0.113.9 8.8.8.8 1.1.1.1 255.255.255.255 0.0.0.0",
        "version 93.184.216.34, v93.184.216.34, 1.2.3.4, pkg-93.184.216.34, 2.16.840.1.113883",
        "2001:db8::1 fe80::1 ::1 12:34:56",
        "4111 1111 1111 1112 and 1234567812345678 and 0.4111111111111111",
        "GB82 WEST 1234 5698 7654 33",
        "ABCD12345678901234567890",
        "/home/user/x ~/x /home/$USER/x /home/{{name}} /home/<user>/ /home/ubuntu https://a.org/home/alice/",
        "34.216.184.93.in-addr.arpa",
        "Author: the one who writes",
        "Reviewed-by: nobody",
    ],
)
def test_what_stays(text: str) -> None:
    assert masked(text) == text


@given(st.text(alphabet=st.sampled_from("a@.com+1 234567890-/homeUsrs:<>\n"), max_size=80))
def test_no_text_raises_and_masking_is_idempotent(text: str) -> None:
    assert masked(masked(text)) == masked(text)
