"""Who is let through to an endpoint, and when: requests in their order, each once what it may cost is known to be affordable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from luthier.core.protocols import ErrorEvent, GenerationRequest
from luthier.core.records import JsonObject

Admit = Callable[[GenerationRequest], bool]
Settle = Callable[[GenerationRequest, JsonObject | ErrorEvent], None]


class Door:
    """Lets requests through in their order, each when `admit` says so; one that it refuses with none under way is passed over."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._turn = asyncio.Lock()  # First come, first served.
        self._back = asyncio.Event()
        self._under_way = 0

    async def enter(self, request: GenerationRequest) -> bool:
        """Whether `request` may be sent, once that is known; those that come later wait for it."""
        async with self._turn:
            self._back.clear()
            while not self._admit(request):
                if not self._under_way:
                    return False
                await self._back.wait()
                self._back.clear()
            self._under_way += 1
            return True

    def leave(self) -> None:
        """One request that was let through has come back."""
        self._under_way -= 1
        self._back.set()
