"""What verdicts rest on beside the questions and the answers: the guard's rules and code, tables of words, and this machine's programs.

Nothing is started here: a program is known by its bytes, which are read once and remembered by size and time, so that a run that is
done says so at once.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from luthier.config.schema import GuardSection
from luthier.core.files import sha256_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder, package_versions
from luthier.core.stages import STAGES
from luthier.evaluate.kinds.registry import ASKING
from luthier.evaluate.rows.suite import Drawing, Suite
from luthier.evaluate.suites.suite_files import SuiteFile
from luthier.guard import lint, sandbox

_GUARD = Path(lint.__file__).parent
# Parts of the guard that judge no answer.
_NO_JUDGES = ("secrets",)
_REFUSALS = Path(__file__).parents[1] / "kinds" / "refusals.toml"
_GUARDED = ("commands", "safety", "tasks")


def verdict_inputs(suites: Iterable[SuiteFile | Suite], folder: RunFolder) -> dict[str, str]:
    """The hash of everything on this machine that can change a verdict of the suites' kinds; `absent` for a program that is not here.

    A program that is installed later, or another version of it, makes another evaluation, which judges again and asks nothing anew.
    """
    suites = list(suites)
    kinds = {suite.kind for suite in suites}
    inputs: dict[str, str] = {}
    if kinds.intersection(_GUARDED):
        inputs["guard"] = _hash_of_guard(folder)
    if "safety" in kinds:
        inputs["refusals"] = folder.hashes.sha256(_REFUSALS)
    if "commands" in kinds:
        inputs |= {f"program {name}": _hash_of_program(lint.tool_path(name), folder) for name in ("bash", "shellcheck")}
    if kinds.intersection(("code", "tasks")) or any("tree" in suite.fields for suite in suites):
        inputs |= {"program bwrap": _hash_of_program(shutil.which("bwrap"), folder), "user namespaces": sha256_json(_switches())}
    if kinds.intersection(("code", "tasks")):
        inputs["python"] = platform.python_version()
    if "tasks" in kinds:
        inputs["jsonschema"] = package_versions(["jsonschema"])["jsonschema"]
    return inputs


def measured_with(suite: Suite, drawing: Drawing, guard: GuardSection, judge: str, folder: RunFolder) -> JsonObject:
    """How the suite is measured beside its questions, in words that `runs compare` tells where two runs differ; `judge` is its identity.

    Only what can change one of the suite's figures is in it: a seed where answers are drawn, the guard where it judges, the judge model
    where a check asks it.
    """
    found: JsonObject = {"version of the evaluation": STAGES["evaluate"].version, **verdict_inputs([suite], folder)}
    if suite.kind in ASKING:
        found["longest answer in tokens"] = drawing.max_new_tokens
    if drawing.temperature > 0:
        found["seed"] = drawing.seed
    if suite.kind in _GUARDED:
        files = {name: folder.hashes.sha256(Path(name)) for name in guard.rule_files()}
        found["guard of the run file"] = sha256_json({**guard.model_dump(mode="json", exclude={"policy"}), "files": files})
    if any(check.get("kind") == "judge" for row in suite.rows for check in row.check.get("checks", ())):
        found["judge model"] = judge
    return found


def _hash_of_guard(folder: RunFolder) -> str:
    """The guard's rules and its code, for a rule is what the code makes of it."""
    files = sorted(file for pattern in ("*.py", "*.toml") for file in _GUARD.rglob(pattern))
    parts = [(file.relative_to(_GUARD), file) for file in files]
    return sha256_json([[str(part), folder.hashes.sha256(file)] for part, file in parts if part.parts[0] not in _NO_JUDGES])


def _hash_of_program(path: str | None, folder: RunFolder) -> str:
    if path is None:
        return "absent"
    try:
        return folder.hashes.sha256(Path(path))
    except PermissionError:  # It may be run and not be read.
        status = Path(path).stat()
        return f"{status.st_size} {status.st_mtime_ns}"


def _switches() -> Mapping[str, str]:
    """What the kernel's switches say that forbid the sandbox where bubblewrap is; how many namespaces there may be says nothing."""
    found = {str(switch.path): value for switch in sandbox.SWITCHES if (value := switch.value()) is not None}
    return {name: "some" if name.endswith("max_user_namespaces") and value != "0" else value for name, value in found.items()}
