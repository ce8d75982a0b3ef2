"""The form of a server-sent event."""

from __future__ import annotations

import pytest

from luthier.serve.door.events import event_line


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("[DONE]",), b"data: [DONE]\n\n"),
        (({"text": "a\n\xfc"}, "token"), 'event: token\ndata: {"text": "a\\n\xfc"}\n\n'.encode()),
        (({}, "status", "0-3"), b"id: 0-3\nevent: status\ndata: {}\n\n"),
        (({"half": "\ud800"},), b'data: {"half": "?"}\n\n'),
    ],
)
def test_an_event_is_lines_and_a_blank_one(given: tuple[object, ...], told: bytes) -> None:
    assert event_line(*given) == told
