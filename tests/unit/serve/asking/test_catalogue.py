"""Which models are told, under which names."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.config.load import load, load_model
from luthier.config.schema import EndpointSection
from luthier.serve.asking.catalogue import Catalogue, Named, UnknownModelError
from luthier.serve.engine.place import Opening

RUN = """
base_model: starter
adapter: lora
learning_rate: 1e-3
run_name: {name}
output_dir: {out}
datasets: [{{path: {rows}}}]
endpoints: {{big: {{base_url: https://example.org/v1, model: large}}}}
seed: {seed}
"""


def make_run(out: Path, name: str, seed: int = 1, trained: bool = True) -> Path:
    out.mkdir(exist_ok=True)
    file = out.parent / f"{name}{seed}.yaml"
    file.write_text(RUN.format(name=name, out=out, seed=seed, rows=file))
    loaded = load(file)
    loaded.folder.mkdir(parents=True)
    (loaded.folder / "resolved.yaml").write_text(loaded.resolved_text())
    if trained:
        (loaded.folder / "adapter").mkdir()
        (loaded.folder / "adapter" / "adapter_config.json").write_text("{}")
    return loaded.folder


def unstamped(named: Named) -> Opening:
    assert named.opening is not None
    assert named.opening.stamp
    return replace(named.opening, stamp="")


def test_a_run_that_was_trained_anew_is_another_model(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "commands")
    catalogue = Catalogue(None, {"mine": str(folder / "adapter")}, [tmp_path / "runs"])
    before = [catalogue.find(name).opening for name in ("commands", "mine")]
    assert before == [catalogue.find(name).opening for name in ("commands", "mine")]
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    after = [catalogue.find(name).opening for name in ("commands", "mine")]
    assert all(one != other for one, other in zip(before, after, strict=True))
    shutil.rmtree(folder / "adapter")
    with pytest.raises(UnknownModelError):
        catalogue.find("commands")


def test_a_merged_model_has_a_name_of_its_own(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "commands")
    catalogue = Catalogue(load(folder), {}, [tmp_path / "runs"])
    assert [named.name for named in catalogue.all()] == ["starter", "commands", "big"]
    (folder / "export" / "merged").mkdir(parents=True)
    (folder / "export" / "merged" / "config.json").write_text("{}")
    named = catalogue.find("commands-merged")
    assert unstamped(named) == Opening(str(folder), "merged")
    assert (named.kind, named.made > 0) == ("run", True)


def test_endpoints_are_there_without_a_run_too(tmp_path: Path) -> None:
    far = EndpointSection(base_url="https://example.org/v1", model="large")
    catalogue = Catalogue(None, {}, [tmp_path], "far", endpoints={"far": far})
    assert (catalogue.default.endpoint, catalogue.default.base) == (far, "large")


def test_without_a_run_there_is_the_base_alone(tmp_path: Path) -> None:
    catalogue = Catalogue(None, {}, [tmp_path / "runs"])
    assert [named.name for named in catalogue.all()] == ["starter"]
    assert catalogue.default.opening == Opening("starter", "base")
    told = Catalogue(None, {}, [tmp_path / "runs"], overrides=["bf16=false"])
    assert told.base.opening == Opening("starter", "base", ("bf16=false",))
    with pytest.raises(UnknownModelError, match="no run is served"):
        catalogue.tuned  # noqa: B018


def test_a_run_and_what_stands_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    served = load(make_run(out, "commands"))
    other, untrained = make_run(out, "docs"), make_run(out, "later", trained=False)
    twins = [make_run(out, "twin", seed) for seed in (1, 2)]
    catalogue = Catalogue(served, {"mine": str(other / "adapter"), "plain": "some/model"}, [out])
    found = {named.name: named for named in catalogue.all()}
    assert list(found)[:2] == ["starter", "commands"]
    assert set(found) == {"starter", "commands", "docs", *(twin.name for twin in twins), "mine", "plain", "big"}
    assert found["starter"].opening == Opening(str(served.folder), "base")
    assert unstamped(found["commands"]) == Opening(str(served.folder), "tuned")
    assert unstamped(found["mine"]) == Opening(str(other / "adapter"), "tuned")
    assert found["plain"].opening == Opening("some/model", "base")
    assert found["big"].endpoint is not None
    assert untrained.name not in found
    assert catalogue.default.name == "commands"
    assert Catalogue(served, {}, [out], "docs").default.name == "docs"
    with pytest.raises(UnknownModelError, match="there are starter, commands"):
        catalogue.find("none")


def test_an_untrained_runs_base_is_opened_as_its_file_says(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "commands", trained=False)
    text = (folder / "resolved.yaml").read_text()
    assert "load_in_8bit: false" in text
    (folder / "resolved.yaml").write_text(text.replace("load_in_8bit: false", "load_in_8bit: true"))
    opening = Catalogue(load(folder), {}, [tmp_path / "runs"]).base.opening
    assert opening == Opening("starter", "base", ("load_in_8bit=true",))
    assert load_model(opening.target, opening.overrides).config.load_in_8bit


def test_a_run_that_is_not_trained_yet_says_so(tmp_path: Path) -> None:
    served = load(make_run(tmp_path / "runs", "commands", trained=False))
    catalogue = Catalogue(served, {}, [tmp_path / "runs"])
    assert catalogue.default.name == "starter"
    assert catalogue.base.opening == Opening("starter", "base")
    with pytest.raises(UnknownModelError, match="no trained model yet"):
        catalogue.tuned  # noqa: B018
    (served.folder / "adapter").mkdir()
    (served.folder / "adapter" / "adapter_config.json").write_text("{}")
    assert catalogue.default.name == "commands"


def test_a_run_with_a_name_that_is_taken_is_asked_by_its_folders(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    served = load(make_run(out, "big"))
    folders = [make_run(out, name) for name in ("starter", "base", "fine-tuned", "mine")]
    catalogue = Catalogue(served, {"mine": "some/model"}, [out])
    assert catalogue.taken == {"starter", "base", "fine-tuned", "mine", "big"}
    assert catalogue.tuned.name == catalogue.default.name == served.folder.name
    for folder in (*folders, served.folder):
        assert unstamped(catalogue.find(folder.name)) == Opening(str(folder), "tuned")
    assert (catalogue.find("big").kind, catalogue.find("mine").kind, catalogue.find("starter").kind) == ("remote", "model", "base")
    assert not {named.name for named in catalogue.all()} & {"base", "fine-tuned"}
