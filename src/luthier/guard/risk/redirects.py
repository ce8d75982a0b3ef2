"""What redirections write where."""

from __future__ import annotations

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument
from luthier.guard.risk.paths import is_device
from luthier.guard.syntax.nodes import Redirect
from luthier.guard.values.symbols import ENDLESS, GLOB, UNKNOWN, shown


def judge_written(shell: Context, outputs: list[tuple[Redirect, Argument]], printed: str) -> str:
    """Judges what is written where; what is left of `printed` for the pipe."""
    left = printed
    for redirect, target in outputs:
        is_output = redirect.descriptor in ("", "1") or redirect.operator.startswith("&")
        content = printed if is_output else UNKNOWN
        if is_output:
            left = ""
        if target.text == "/dev/null":
            continue
        appends = redirect.operator in (">>", "&>>")
        if ENDLESS in content and not is_device(target.text):
            shell.report("dangerous", "resources", f"writes to `{shown(target.text)}` without an end", target)
        shell.harm("append" if appends else "truncate", target, content=content)
        if appends and is_output and not target.text.startswith("/dev/"):
            shell.report("caution", "", f"adds to the file `{shown(target.text)}`", target)
        if not appends and redirect.operator != "<>" and not redirect.descriptor.isdigit():
            _report_overwriting(shell, target)
        shell.remember(target.text, content, appends)
    return left


def _report_overwriting(shell: Context, target: Argument) -> None:
    if GLOB.search(target.text) is None and not target.text.startswith("/dev/"):
        shell.report("caution", "", f"writes the file `{shown(target.text)}`", target)
