"""What becomes of a run that is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luthier.config.load import LoadedRun, load
from luthier.config.serve_section import ServeAllow
from luthier.core.errors import ConfigError
from luthier.pipeline.run import run_stages
from luthier.serve.jobs.records import NewJob
from luthier.serve.jobs.submitted import Asked, Submissions
from luthier.serve.state.root import ServeRoot

TEXT = """
base_model: starter
adapter: lora
lora_r: 4
datasets: [{path: rows.jsonl}]
learning_rate: 1e-3
max_steps: 2
evaluate: {suites: [own.yaml], against: [base]}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run file in a folder of its own, rows, and a suite beside the run file."""
    monkeypatch.chdir(tmp_path)
    row = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ls"}]}
    Path("rows.jsonl").write_text(f"{json.dumps(row)}\n")
    for folder in (Path("tasks"), Path("serve/run-files")):
        folder.mkdir(parents=True)
        (folder / "own.yaml").write_text(f"{{name: own, kind: commands, rows: {tmp_path}/rows.jsonl}}")
    Path("tasks/run.yaml").write_text(TEXT)
    return tmp_path


def submissions(served: LoadedRun | None = None, overrides: tuple[str, ...] = ()) -> Submissions:
    return Submissions(ServeRoot(Path("serve")), ServeAllow(), served, overrides)


def resolved(job: NewJob) -> LoadedRun:
    """What the command line makes of the job's words."""
    words = list(job.command)
    assert words[:2] == ["-m", "luthier"]
    assert words[-1] == "--json"
    sets = [words[number + 1] for number, word in enumerate(words) if word == "--set"]
    assert words[4:-1] == [word for one in sets for word in ("--set", one)]
    return load(words[3], sets, for_data=words[2] == "data")


def test_a_run_file_goes_below_the_servers_runs_with_its_keys_and_its_name() -> None:
    job = submissions().run(Asked(run_file="tasks/run.yaml", run_name="mine", overrides={"lora_r": 8, "evaluate.shots": 2}))
    loaded = resolved(job)
    assert job.kind == "train"
    assert Path(job.folder) == loaded.folder
    assert loaded.folder.parent == Path("serve/runs")
    assert loaded.folder.name.startswith("mine-")
    assert job.title == f"run {loaded.name}"
    assert (loaded.config.lora_r, loaded.config.evaluate.shots) == (8, 2)
    assert loaded.config.evaluate.suites == ("tasks/own.yaml",)


@pytest.mark.parametrize("value", ["a: b", "no", "1e-3", "{{ x }}", "", "ü\n\"'", None, 0.00001, True, [1, "two"], {"a": [None]}])
def test_a_value_reaches_the_run_as_it_was_sent(value: Any) -> None:
    """By a key of free form; the command line reads words, and no value may become another."""
    if not isinstance(value, str) or not value:
        value = json.dumps(value)
    job = submissions().run(Asked(text=TEXT, overrides={"default_system_message": value}))
    assert resolved(job).config.default_system_message == value


def test_a_text_is_written_where_run_files_are_kept_and_is_one_run_however_often_it_is_sent() -> None:
    ours = submissions()
    job = ours.run(Asked(text=TEXT, run_name="sent"))
    (path,) = [path for path in Path("serve/run-files").iterdir() if path.name != "own.yaml"]
    assert path.name.startswith("sent-")
    assert path.read_text() == TEXT
    assert resolved(job).config.evaluate.suites == ("serve/run-files/own.yaml",)
    assert ours.run(Asked(text=TEXT, run_name="sent")) == job
    other = ours.run(Asked(text=TEXT.replace("lora_r: 4", "lora_r: 5"), run_name="sent"))
    assert other.folder != job.folder
    # Nothing of what is refused is kept.
    with pytest.raises(ConfigError):
        ours.run(Asked(text=TEXT + "colour: red\n"))
    assert len(list(Path("serve/run-files").iterdir())) == 3


def test_the_served_run_file_keeps_its_own_place_and_what_was_set_for_it() -> None:
    served = load("tasks/run.yaml", ("lora_r=2",))
    ours = submissions(served, ("lora_r=2",))
    job = ours.run(Asked())
    assert Path(job.folder) == served.folder == resolved(job).folder
    changed = resolved(ours.run(Asked(run_name="other", overrides={"max_steps": 9})))
    assert (changed.config.lora_r, changed.config.max_steps) == (2, 9)
    assert changed.folder.parent == Path("serve/runs")
    data = ours.data(Asked())
    assert (data.kind, data.command[2], data.folder) == ("data", "data", job.folder)


def test_a_served_run_folder_goes_on_as_it_is_and_another_run_is_made_of_it() -> None:
    run_stages(load("tasks/run.yaml"), "data")
    (folder,) = [path for path in Path("runs").iterdir() if path.name.startswith("run-")]
    ours = submissions(load(folder))
    job = ours.run(Asked())
    assert job.command == ("-m", "luthier", "run", str(folder), "--json")
    assert job.folder == str(folder)
    changed = resolved(ours.run(Asked(overrides={"max_steps": 9})))
    assert changed.folder.parent == Path("serve/runs")
    assert changed.folder.name.startswith("run-")
    assert changed.config.evaluate.suites == ("tasks/own.yaml",)
    assert changed.config.max_steps == 9


def test_rows_alone_need_no_more_than_rows_need() -> None:
    text = "base_model: starter\ndatasets: [{path: rows.jsonl}]\n"
    job = submissions().data(Asked(text=text))
    assert resolved(job).config.datasets[0].path == "rows.jsonl"
    with pytest.raises(ConfigError, match="learning_rate"):
        submissions().run(Asked(text=text))


@pytest.mark.parametrize(
    ("asked", "where", "told"),
    [
        (Asked(), "run_file", "no run is served"),
        (Asked(run_file="tasks/run.yaml", text=TEXT), "text", "not both"),
        (Asked(run_file="/etc/passwd"), "run_file", "may not be read here"),
        (Asked(run_file="none.yaml"), "none.yaml", "none.yaml"),
        (Asked(run_file="tasks"), "tasks", ""),
        (Asked(run_file="x" * 4_000), "", ""),
        (Asked(text="colour: red"), "", "colour"),
        (Asked(text="base_model: [1"), "text", ""),
        (Asked(text=TEXT + "lora_alpha: many\n"), "text", "lora_alpha"),
        (Asked(text=TEXT, overrides={"lora_alpha": "many"}), "--set lora_alpha", "lora_alpha"),
        (Asked(text=TEXT, overrides={"lora_alfa": 1}), "--set lora_alfa", "lora_alpha"),
        (Asked(text=TEXT, overrides={"output_dir": "/tmp"}), "overrides.output_dir", "not set here"),
        (Asked(text=TEXT, overrides={"extends": "/etc/passwd"}), "overrides.extends", "not set here"),
        (Asked(text=TEXT, overrides={"run_name": "x"}), "overrides.run_name", "a field of its own"),
        (Asked(text=TEXT, overrides={"a=b --set c": 1}), "overrides", "no key"),
        (Asked(text=TEXT, overrides={"": 1}), "overrides", "no key"),
        (Asked(text=TEXT, overrides={"datasets[0].path": "/etc/passwd"}), "--set datasets[0].path", "may not be read here"),
        (Asked(text=TEXT.replace("rows.jsonl", "absent.jsonl")), "text", "not there"),
        (Asked(text=TEXT, overrides={"default_system_message": "x" * 200_000}), "overrides", "100,000 bytes at most"),
        (Asked(text=TEXT + "default_system_message: \ud800\n"), "", ""),
        (Asked(text=TEXT, overrides={"default_system_message": "\ud800"}), "", ""),
        (Asked(run_file="\ud800"), "", ""),
        (Asked(text="extends: /etc/passwd"), "text", "may not be read here"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(asked: Asked, where: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        submissions().run(asked)
    assert raised.value.problems[0].where.startswith(where)
    assert told in str(raised.value)
    assert "root:x" not in str(raised.value)


def test_a_run_is_found_by_its_name_where_that_is_one_runs_alone() -> None:
    ours = submissions(load("tasks/run.yaml"))
    with pytest.raises(ConfigError, match="none was started yet"):
        ours.find_run("run")
    run_stages(load("tasks/run.yaml"), "data")
    run_stages(load("tasks/run.yaml", ("output_dir=serve/runs", "max_steps=1")), "data")
    names = [path.name for place in ours.places for path in place.iterdir() if (path / "resolved.yaml").exists()]
    assert len(names) == 2
    for name in names:
        assert ours.find_run(name).path.name == name
    with pytest.raises(ConfigError, match="several runs are called so"):
        ours.find_run("run")
    for name in ("none", "../runs/" + names[0], "/etc", ""):
        with pytest.raises(ConfigError, match="no such run"):
            ours.find_run(name)
    with pytest.raises(ConfigError, match="no trained model yet"):
        ours.again("evaluate", names[0])


@pytest.mark.parametrize("name", ["starter", "base", "..", "."])
def test_a_name_by_which_a_run_could_not_be_asked_is_refused(name: str) -> None:
    ours = Submissions(ServeRoot(Path("serve")), ServeAllow(), load("tasks/run.yaml"), (), {"starter", "base"})
    for asked in (Asked(run_name=name), Asked(text=TEXT + f"run_name: '{name}'\n"), Asked(run_file="tasks/run.yaml", run_name=name)):
        for begun in (ours.run, ours.data):
            with pytest.raises(ConfigError) as raised:
                begun(asked)
            assert raised.value.problems[0].where == "run_name"
    assert ours.run(Asked(run_name=f"{name}x")).folder.startswith(f"serve/runs/{name}x-")


def test_what_is_wrong_in_a_text_is_told_at_its_line() -> None:
    with pytest.raises(ConfigError) as raised:
        submissions().run(Asked(text=TEXT + "lora_alfa: 5\n", run_name="p"))
    assert raised.value.problems[0].where == "text:9"
    assert "run-files" not in str(raised.value)
