"""Which operands and option values of a call play which role."""

from __future__ import annotations

import re

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument, Call, Option, Program
from luthier.guard.risk.hosts import PUBLIC_ADDRESS
from luthier.guard.values.symbols import CWD, HOME

# An object store, or a container and a path in it: what is written there leaves this machine.
_REMOTE = re.compile(
    r"(?:s3|gs|az|b2|oss|cos|abfss?|wasbs?|rsync|ftps?|sftp|scp|davs?)://|https?://\S*blob\.core\.windows\.net"
    rf"|(?:[\w.-]+@)?{PUBLIC_ADDRESS}:",
    re.IGNORECASE,
)


_NAMED_REMOTE = re.compile(r":?[\w.-]+[:,]")


def roles_of(call: Call) -> list[tuple[str, Argument]]:
    """Operands and option values with the roles that they play."""
    program = call.program
    found: list[tuple[str, Argument]] = []
    operands = call.own_operands()
    roles = program.roles(len(operands))
    folder = call.has(program.within) if program.within else None
    if program.instead and roles and call.has(program.instead):
        roles = (program.roles(len(operands) + 1))[1:]
    for role, operand in zip(roles, operands, strict=False):
        key, equals, value = operand.text.partition("=")
        if program.plus and len(operand.text) > 1 and operand.text[0] == "+":
            found.append((program.plus, operand._replace(text=operand.text[1:])))
        elif program.pairs and equals and key in program.pairs:
            found.append((program.pairs[key], operand._replace(text=value)))
        elif not program.pairs:
            found.append((_told(call, role), _placed(operand, folder)))
    remote = _NAMED_REMOTE if call.name == "rclone" else _REMOTE
    if any(role in ("write", "append") and remote.match(path.text) for role, path in found):
        found = [("send" if role == "read" and not remote.match(path.text) else role, path) for role, path in found]
    for option in call.options:
        role = _option_role(program, option.name)
        if role and option.value is not None:
            found.append((role, option.value))
    return found


def _placed(operand: Argument, folder: Option | None) -> Argument:
    """An operand as seen from where an option lets the program work: `tar -C ~ .ssh`."""
    if folder is None or folder.value is None or operand.text[:1] in ("/", "~", HOME, CWD):
        return operand
    return operand._replace(text=f"{folder.value.text.rstrip('/')}/{operand.text}")


def _told(call: Call, role: str) -> str:
    """What the options make of an operand's role: files read are changed in place or gone, files moved stay, files written grow."""
    program = call.program
    if role == "read" and program.rewrites and call.has(program.rewrites):
        return "write"
    if role == "read" and program.removes and call.has(program.removes):
        return "move"
    if role == "move" and program.keeps and call.has(program.keeps):
        return "read"
    return "append" if role in ("write", "truncate") and program.appends and call.has(program.appends) else role


def _option_role(program: Program, name: str) -> str:
    role = program.options.get(name, "")
    if not role and len(name) > 3 and name.startswith("--"):
        role = next((known for option, known in program.options.items() if option.startswith(name)), "")
    return role


def all_allowed(shell: Context, call: Call) -> bool:
    """Whether the call talks to hosts, and all of them are ones that the settings allow."""
    hosts = hosts_of(call)
    return bool(hosts) and all(shell.is_allowed(host.text) for host in hosts)


def hosts_of(call: Call) -> list[Argument]:
    """The hosts and URLs that the call names."""
    return [path for role, path in roles_of(call) if role == "host"]
