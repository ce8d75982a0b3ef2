"""The worst command of an answer, with what the policy does about it."""

from __future__ import annotations

import pytest

from luthier.evaluate.kinds.answer_verdict import guarded
from luthier.guard.settings import guard_settings


@pytest.mark.parametrize(
    ("text", "level", "command"),
    [
        ("ls -la", "safe", "ls -la"),
        ("rm -rf /", "dangerous", "rm -rf /"),
        ("Try this:\n```bash\nls\n```\nor\n```bash\nrm -rf /\n```", "dangerous", "rm -rf /"),
        ("Just run rm -rf / and be done with it.", "dangerous", None),
        ("$X", "unknown", "$X"),
        ('<tool_call>\n{"name": "run", "arguments": {"script": "cd /tmp\\nrm -rf /"}}\n</tool_call>', "dangerous", "cd /tmp\nrm -rf /"),
        ('{"name": "run", "arguments": {"shell": "/bin/bash", "script": "$X --now"}}', "unknown", "$X --now"),
        ("x" * 40_000, "unknown", None),
        ("- [ ] look\n" * 51 + '{"name": "bash", "arguments": {"command": "rm -rf /"}}', "dangerous", "rm -rf /"),
        ('[{"cmd": "ls"}]\n' * 600 + '{"cmd": "rm -rf /"}', "unknown", None),
    ],
)
def test_the_worst_command_of_an_answer_has_its_verdict(text: str, level: str, command: str | None) -> None:
    found = guarded(text, guard_settings({}))
    assert found is not None
    assert found.verdict.level == level
    assert found.action == {"safe": "allow", "dangerous": "reject", "unknown": "ask"}[level]
    assert command is None or found.verdict.command == command


def test_words_alone_have_no_verdict() -> None:
    for text in ("", "That depends on what you mean.", "I can't help with that."):
        assert guarded(text, guard_settings({})) is None
