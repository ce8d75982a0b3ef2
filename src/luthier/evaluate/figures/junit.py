"""The evaluation as JUnit's XML, which continuous integration shows: a test case for each bound of the gate, and one for each metric."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

from luthier.core.candidates import TUNED
from luthier.core.counts import counted
from luthier.core.errors import Problem, UserError
from luthier.core.files import read_json, write_bytes
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate.figures.gate import GATE_FILE, GateResult, read_gate

# What XML 1.0 cannot hold (section 2.2).
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def refuse_unwritable(path: Path) -> None:
    """`UserError` where no file can be written to `path`; a folder of it that is not there yet will be made."""
    if path.is_dir():
        raise UserError(
            Problem("this is a folder, and a file is meant", "--junit", str(path), hint=f"name one in it: {path / 'luthier.xml'}")
        )
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        what = "no file can be written there" + ("" if above.is_dir() else f": {above} is no folder")
        raise UserError(Problem(what, "--junit", str(path), hint="name another file, or mend the rights of its folder"))


def write_junit(folder: RunFolder, path: Path) -> None:
    """Writes the run's scores and its gate to `path`.

    A bound that is not met is a failure, one that could not be judged an error. The metrics of the tuned model always pass: their value,
    interval and count, and their comparisons, stand in `system-out`.
    """
    root = ElementTree.Element("testsuites", name=_clean(folder.path.name))
    gate = read_gate(folder.evaluate / GATE_FILE)
    if gate:
        suite = _suite(root, "gate", len(gate))
        for result in gate:
            _gate_case(suite, result)
        suite.set("failures", str(sum(not result.passed and result.value is not None for result in gate)))
        suite.set("errors", str(sum(result.value is None for result in gate)))
    for scores_path in sorted(folder.evaluate.glob("*/scores.json")):
        _score_cases(root, read_json(scores_path))
    ElementTree.indent(root)
    write_bytes(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def _suite(root: ElementTree.Element, name: str, tests: int) -> ElementTree.Element:
    return ElementTree.SubElement(root, "testsuite", name=_clean(name), tests=str(tests), failures="0", errors="0", skipped="0")


def _gate_case(suite: ElementTree.Element, result: GateResult) -> None:
    name = f"{result.suite}.{result.metric} {result.bound}"
    case = ElementTree.SubElement(suite, "testcase", classname="gate", name=_clean(name), time="0")
    text = _clean(result.text())
    if result.value is None:
        ElementTree.SubElement(case, "error", message=text, type="not judged")
    elif not result.passed:
        ElementTree.SubElement(case, "failure", message=text, type=result.bound)
    else:
        ElementTree.SubElement(case, "system-out").text = text


def _score_cases(root: ElementTree.Element, scores: JsonObject) -> None:
    found = scores["candidates"].get(TUNED, {})
    suite = _suite(root, scores["suite"], len(found))
    for metric, score in found.items():
        case = ElementTree.SubElement(suite, "testcase", classname=_clean(scores["suite"]), name=_clean(metric), time="0")
        lines = [_line(TUNED, score)]
        lines += [_line(pair, gains[metric]) for pair, gains in scores["paired"].items() if metric in gains]
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join(lines))


def _line(label: str, score: JsonObject) -> str:
    p = f", p = {score['p']:.4g}" if score.get("p") is not None else ""
    return f"{label}: {score['value']:.4g} ({score['low']:.4g} to {score['high']:.4g}, {counted(score['count'], 'row')}{p})"


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
