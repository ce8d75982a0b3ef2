"""Files of a run: what may be taken, and nothing from outside its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from luthier.core.runs import RunFolder
from luthier.serve.pages.runs.files import is_offered
from serve_pages import run_writer, signed_in

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A whole run beside a file that is nobody's business."""
    folder = run_writer()(tmp_path / "runs" / "whole")
    (tmp_path / "private.txt").write_text("nobody’s business")
    folder.report_html.write_text("<p>report</p>")
    folder.report_pages.mkdir()
    (folder.report_pages / "commands-tuned.html").write_text("<p>page</p>")
    folder.export.mkdir(exist_ok=True)
    (folder.export / "README.md").write_text("card")
    (folder.export / "trap.html").write_text("<script>alert(1)</script>")
    return folder


@pytest.fixture
def at(run: RunFolder) -> TestClient:
    return signed_in(run.path.parent)


def test_what_is_offered_is_listed_and_can_be_taken(at: TestClient, run: RunFolder) -> None:
    text = at.get("/ui/runs/whole/files").text
    for path in ("report.html", "resolved.yaml", "versions.lock", "export/README.md", "adapter/adapter_model.safetensors"):
        assert f'/ui/runs/whole/files/{path}"' in text
        answer = at.get(f"/ui/runs/whole/files/{path}")
        assert answer.status_code == 200
        assert answer.content == (run.path / path).read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="adapter_model.safetensors"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == str((run.path / path).stat().st_size)
    assert "checkpoint" not in text.replace("checkpoints and logs", "")


@pytest.mark.parametrize(
    "path",
    [
        "../private.txt", "..%2fprivate.txt", "adapter/../../../private.txt", "adapter%2f..%2f..%2fprivate.txt", "/etc/passwd",
        "%2fetc%2fpasswd", ".lock", "data/train.jsonl", "events.jsonl", "checkpoints/a/optimizer.safetensors", "adapter", "adapter/",
        "nothing.html", "export/.hidden", "evaluate/commands/generations.jsonl",
        "train/tokens/train.safetensors", "adapter/a/b", "report.html%00", "export//README.md",
    ],
)  # fmt: skip
def test_nothing_else_can_be(at: TestClient, run: RunFolder, path: str) -> None:
    (run.export / ".hidden").write_text("hidden")
    answer = at.get(f"/ui/runs/whole/files/{path}")
    assert answer.status_code == 404
    assert "business" not in answer.text


def test_a_link_leads_nowhere(at: TestClient, run: RunFolder, tmp_path: Path) -> None:
    (run.adapter / "out.txt").symlink_to(tmp_path / "private.txt")
    (run.export / "outside").symlink_to(tmp_path)
    (run.export / "inside.md").symlink_to(run.export / "README.md")
    os.mkfifo(run.adapter / "pipe")
    text = at.get("/ui/runs/whole/files").text
    for path in ("adapter/out.txt", "export/outside/private.txt", "export/inside.md", "adapter/pipe"):
        assert is_offered(path)
        assert path not in text
        assert at.get(f"/ui/runs/whole/files/{path}").status_code == 404


def test_a_page_of_the_report_is_shown_and_can_do_nothing(at: TestClient) -> None:
    for path in ("report.html", "report/commands-tuned.html"):
        answer = at.get(f"/ui/runs/whole/files/{path}")
        policy = answer.headers["content-security-policy"]
        assert "sandbox" in policy
        assert "allow-scripts" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["content-type"].startswith("text/html")
        assert "content-disposition" not in answer.headers


def test_a_page_that_is_not_the_report_s_is_not_shown(at: TestClient) -> None:
    answer = at.get("/ui/runs/whole/files/export/trap.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "attachment" in answer.headers["content-disposition"]
    assert "sandbox" in answer.headers["content-security-policy"]


def test_secrets_in_what_people_wrote_are_marked(at: TestClient, run: RunFolder) -> None:
    run.resolved_yaml.write_text(f"base_model: starter\nrun_name: {SECRET}\n")
    answer = at.get("/ui/runs/whole/files/resolved.yaml")
    assert SECRET not in answer.text
    assert "GITHUB_TOKEN" in answer.text
    run.resolved_yaml.write_text("x" * (1 << 20) + "y")
    assert at.get("/ui/runs/whole/files/resolved.yaml").status_code == 413
