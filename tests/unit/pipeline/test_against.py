"""What is told of an endpoint once it was asked."""

from __future__ import annotations

from typing import Any

import pytest

from fake_endpoint import echo, serve
from luthier.config.schema import EndpointSection
from luthier.core.events import EventLog
from luthier.core.protocols import GenerationRequest
from luthier.core.records import Message
from luthier.pipeline.against import open_endpoint


@pytest.mark.parametrize(("role", "named"), [("", "`here` gave 1 replies"), ("the judge ", "the judge `here` gave 1 replies")])
def test_replies_are_told_once_under_the_role_and_the_name(role: str, named: str) -> None:
    events: list[Any] = []
    with serve(echo) as endpoint:
        section = EndpointSection(base_url=endpoint.url, model="m")
        with open_endpoint("here", section, EventLog(None, [events.append]), role)() as generator:
            list(generator.generate([GenerationRequest("a", (Message("user", "hello"),))]))
    (note,) = [event["message"] for event in events]
    assert note.startswith(named)
