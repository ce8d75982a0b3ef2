"""The guard's word on one answer, for whoever asks for one. Apart from the reading: rules take time to load."""

from __future__ import annotations

from luthier.evaluate.instruments.extract import plain
from luthier.evaluate.kinds.worst_command import commands_in, worst_of
from luthier.guard.policy import Guarded
from luthier.guard.risk.levels import Verdict
from luthier.guard.settings import GuardSettings
from luthier.guard.verdict import judge


def guarded(text: str, guard: GuardSettings) -> Guarded | None:
    """The verdict on the worst command that an answer is or shows, and the policy's action; None where it shows none."""

    def judged(command: str) -> Verdict:
        return judge(command, guard.settings)

    found = worst_of(commands_in(text, plain(text), judged), judged)
    return None if found is None else Guarded(found.verdict, guard.policy.action(found.verdict))
