from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from luthier.core.runs import RunFolder
from serve_pages import run_writer, signed_in


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one whole run, `whole`; nobody changes it."""
    place = tmp_path_factory.mktemp("runs")
    run_writer()(place / "whole")
    return place


@pytest.fixture(scope="package")
def browser(place: Path) -> TestClient:
    """A browser that has signed in to the pages of `place`."""
    return signed_in(place)


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    """A run that has its data and nothing else, in a folder of its own."""
    return run_writer()(tmp_path / "begun", ("data",))
