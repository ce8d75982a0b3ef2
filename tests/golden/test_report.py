"""The report's bytes for a fixed run folder.

Where they change on purpose, raise its version in `core/stages.py` and run this file as a program.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from pathlib import Path

from luthier.core.files import sha256_bytes, write_json, write_text
from luthier.core.stages import STAGES
from luthier.report import page
from luthier.report.reading import read_run

HERE = Path(__file__).parent
GOLDEN_MARKDOWN = HERE / "report.md"
GOLDEN_HASHES = HERE / "report.json"
BUILDER = HERE.parent / "unit" / "report" / "run_folder.py"


def _render(folder: Path) -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("report_run_folder", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(page.render(read_run(module.write_run(folder))))


def _hashes(files: dict[str, str]) -> dict[str, object]:
    return {"version": STAGES["report"].version, "files": {name: sha256_bytes(text.encode()) for name, text in files.items()}}


def test_the_report_is_what_it_was_for_its_version(tmp_path: Path) -> None:
    files = _render(tmp_path / "run")

    assert files["report.md"] == GOLDEN_MARKDOWN.read_text(encoding="utf-8")
    assert _hashes(files) == json.loads(GOLDEN_HASHES.read_text(encoding="utf-8")), "see the head of this file"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        new_files = _render(Path(temporary) / "run")
    stored = json.loads(GOLDEN_HASHES.read_text(encoding="utf-8"))
    found = _hashes(new_files)
    if found != stored and found["version"] == stored["version"]:
        sys.exit("the report changed: raise its version in src/luthier/core/stages.py first")
    write_text(GOLDEN_MARKDOWN, new_files["report.md"])
    write_json(GOLDEN_HASHES, found)
    sys.stdout.write(f"wrote {GOLDEN_MARKDOWN} and {GOLDEN_HASHES}\n")
