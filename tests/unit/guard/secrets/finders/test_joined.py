"""Credentials in two parts are found over both; parts that make none are left alone."""

from __future__ import annotations

import time

import pytest

from luthier.guard.secrets.finders.joined import joined
from luthier.guard.secrets.scan import redact

TOKEN = "ghp_" + "k9Xw2LmQ7vRt4YbN8cZs5HjD3fGp6Aq1Ee0U"
KEY = "AKIA" + "Q3EGRTZ7KPL2MXVB"
JOINTS = [
    "\n",
    "\r\n    ",
    "\\\n",
    "\\\n        ",
    "\n# ",
    '" + "',
    "' + '",
    '" "',
    '"\n    "',
    "' \\\n    '",
    '" +\n    "',
    "'\n  + '",
    "' . '",
    '" .. "',
    '\\" + \\"',
    '" + f"',
]


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize(("secret", "kind"), [(TOKEN, "github-token"), (KEY, "aws-access-key")])
def test_a_broken_credential_is_found_over_its_joint(joint: str, secret: str, kind: str) -> None:
    for at in (5, 12, len(secret) - 4):
        text = f'é x = "{secret[:at]}{joint}{secret[at:]}" # so'
        (span,) = joined(text)
        assert (text[span[0] : span[1]], span[2]) == (f"{secret[:at]}{joint}{secret[at:]}", kind)
        (done,) = redact([text], "fast")
        assert done.text == f'é x = "<{kind.upper().replace("-", "_")}>" # so'


def test_several_parts_are_one_credential() -> None:
    text = "token = (\n" + "\n".join(f'    "{TOKEN[at : at + 8]}"' for at in range(0, len(TOKEN), 8)) + "\n)"
    assert [text[start:end] for start, end, _ in joined(text)] == [text[text.index("ghp_") : text.rindex('"')]]


@pytest.mark.parametrize(
    "text",
    [
        "the prefix is ghp_\nand it is followed by 36 characters",
        '"ghp_" + "a"',
        '"hf_" + name_of_the_model_1 + "more"',
        "sk-learn\nscikit-learn-1.4.2-py3-none-any",
        f"{TOKEN}\nuser1234 logs in",
        '"npm_config_registry" "npm_config_cache_1"',
        '["AKIA", "ASIA1234567890ABCDEF1234"]',
    ],
)
def test_what_makes_no_credential_is_left(text: str) -> None:
    assert not list(joined(text))


def test_the_time_is_linear() -> None:
    started = time.process_time()
    for piece in ("ghp_a\n", 'ghp_a1" + "', "ghp_" + "a1" * 300, 'sk-"\\\n'):
        list(joined(piece * (200_000 // len(piece))))
    assert time.process_time() - started < 4
