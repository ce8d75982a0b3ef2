"""What clients of container engines are told to start elsewhere: a command behind `--`, and a description that flows in."""

from __future__ import annotations

import re

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument
from luthier.guard.values.symbols import is_settled

_CLIENTS = frozenset(("kubectl", "oc", "k", "nomad", "helm"))
# Kubernetes, "Pod Security Standards": what the baseline policy forbids; a role over the whole cluster; and code fetched when it starts.
_PRIVILEGED = re.compile(
    r"privileged:\s*true|host(?:PID|IPC|Network):\s*true|hostPath:|docker\.sock|containerd\.sock|name:\s*cluster-admin|"
    r"(?:curl|wget)\b[^\n]*\|\s*(?:ba|da|z)?sh\b|allowPrivilegeEscalation:\s*true|SYS_ADMIN|verbs:\s*\[\s*[\"']?\*",
)


def judge_started_elsewhere(shell: Context, name: str, arguments: list[Argument], stdin: str | None) -> None:
    """Reports what a container is told to run, and what a manifest that flows in asks of the machines."""
    if name not in _CLIENTS:
        return
    place = next((index for index, argument in enumerate(arguments) if argument.text == "--"), None)
    if place is not None and arguments[place + 1 :]:
        inner = shell.apart()
        inner.environment.files = {}
        inner.dispatch(arguments[place + 1 :], None)
    if stdin is not None and is_settled(stdin) and (found := _PRIVILEGED.search(stdin)) is not None:
        shell.report("dangerous", "privilege", f"asks for the rights of the machine: `{found[0]}`", arguments[0])
