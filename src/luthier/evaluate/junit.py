"""The evaluation as JUnit's XML, which continuous integration shows: a test case for each bound of the gate, and one for each metric."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from luthier.core.files import read_json, write_bytes
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate.gate import GATE_FILE, GateResult, read_gate
from luthier.evaluate.sources import TUNED

# What XML 1.0 cannot hold (section 2.2).
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    return f"{label}: {score['value']:.4g} ({score['low']:.4g} to {score['high']:.4g}, {score['count']} rows{p})"


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
