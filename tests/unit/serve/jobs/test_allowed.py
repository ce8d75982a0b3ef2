"""What a run file that was sent may name."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.config import yaml_file
from luthier.config.keys.tracking import TrackKeys
from luthier.config.load import read_named
from luthier.config.names import _fields_of
from luthier.config.row_sections import SourceEntry
from luthier.config.schema import RunConfig
from luthier.config.yaml_file import Document
from luthier.core.errors import DataError
from luthier.retrieval.named_files import find
from luthier.serve.jobs import allowed as module
from luthier.serve.jobs.allowed import Allowed
from luthier.serve.jobs.sending import LABELS, TRACKERS
from luthier.serve.state.permitted import Permitted
from luthier.serve.state.root import ServeRoot

SERVED = """
base_model: /models/served
mlflow_tracking_uri: http://tracking:5000
endpoints: {teacher: {base_url: "https://api.example.com/v1", model: big, api_key_env: TEACHER_KEY}}
"""
# Texts that name no file, program or address: names of columns, of languages, of keys beside them, words for a model.
PLAIN = r"""
augment\.(judge|teacher) chat_template clean\.(licenses|natural_languages|off|scanners)
(test_)?datasets\.\*\.(chat_template|field\w*|license|name|revision|roles\w*|split|type\.\w+)
(test_)?datasets\.\*\.message_\w+(\.\w+)? default_system_message endpoints\.\*\.model eot_tokens
evaluate\.against\.\*\.name evaluate\.gate(\.\*\.over)? evaluate\.judge export fsdp_config\.transformer_layer_cls_to_wrap
guard\.(allow_hosts|policy|protect) lora_(alpha_pattern|modules_to_save|rank_pattern|target_modules)
output_dir peft_init_lora_weights revision_of_model run_name
sources\.\*\.(commit|exclude|include|languages|license|name) sources\.\*\.teacher\.(endpoint|judge) unfrozen_parameters
"""


@pytest.fixture
def allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Allowed:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "rows.jsonl").touch()
    (tmp_path / "secret.yaml").write_text("base_model: starter\n")
    (home / "more").mkdir()
    (home / "more" / "link.jsonl").symlink_to("../data/rows.jsonl")
    (home / "data" / "link.jsonl").symlink_to(tmp_path / "secret.yaml")
    (home / "data" / "link[1].md").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "served.yaml").write_text(SERVED)
    (home / "data" / "folder").symlink_to(tmp_path)
    root = ServeRoot(Path("serve"))
    monkeypatch.chdir(home)
    for folder in (root.run_files, root.uploads, root.sources / "s", root.runs):
        folder.mkdir(parents=True)
    for name in ("token", "jobs.sqlite"):
        (root.path / name).touch()
    return Allowed(root, Permitted.of(root.path, [str(home)], ["github.com"]), yaml_file.parse(SERVED, str(tmp_path / "served.yaml")))


def problems(allowed: Allowed, text: str, name: str = "serve/run-files/sent.yaml", *overrides: str) -> str:
    return "\n".join(problem.text() for problem in allowed.problems(read_named(Path(name), text, overrides)))


GOOD = [
    "base_model: starter",
    "base_model: Qwen/Qwen2.5-0.5B",
    "base_model: gpt2",
    "base_model: /models/served",
    "datasets: [{path: data/rows.jsonl}]",
    "datasets: [{path: owner/rows, data_files: [../../x.jsonl]}]",
    "datasets: [{path: more, data_files: rows.jsonl}]",
    "datasets: [{path: serve/runs/a-12345678/data/train.jsonl}]",
    "datasets: [{path: more, data_files: ['*.jsonl']}]",
    "sources: [{repo: data, docs: ['data/**/*.md', more/../data/a.md, '*.md', '.']}]",
    "sources: [{repo: 'https://github.com/owner/name.git'}]",
    "evaluate: {suites: [commands, gsm8k], against: [base, teacher, checkpoint-4]}",
    "chat_template_jinja: '{{ messages }}'",
    "deepspeed: {zero_optimization: {stage: 2}}",
    "split: {keep: serve/runs/a-12345678}",
    "endpoints: {mine: {base_url: 'https://api.example.com/v1', model: other, api_key_env: TEACHER_KEY}}",
    "mlflow_tracking_uri: http://tracking:5000",
    "use_wandb: false\nwandb_mode: offline\nuse_mlflow: false",
    "wandb_mode: disabled\nwandb_log_model: false",
    "wandb_name: mine\nmlflow_run_name: mine",
]
# What sends a training away, each key with a value that no served run file says.
SENDING = {
    "use_wandb": "true",
    "wandb_project": "theirs",
    "wandb_entity": "theirs",
    "wandb_run_id": "theirs",
    "wandb_mode": "online",
    "wandb_log_model": "checkpoint",
    "use_mlflow": "true",
    "mlflow_experiment_name": "theirs",
    "mlflow_tracking_uri": "https://example.org",
    "hf_mlflow_log_artifacts": "true",
}
BAD = [
    ("base_model: /etc", "`base_model`"),
    ("base_model: ../../models/x", "`base_model`"),
    ("base_model: ~/model", "`base_model`"),
    ("model_name_or_path: /etc", "`base_model`"),
    ("tokenizer_config: /etc", "`tokenizer_config`"),
    ("lora_model_dir: /adapters/x", "`lora_model_dir`"),
    ("datasets: [{path: /etc/passwd}]", "`datasets[0].path`"),
    ("datasets: [{path: data/link.jsonl}]", "`datasets[0].path`"),
    ("datasets: [{path: data/folder/secret.yaml}]", "`datasets[0].path`"),
    ("datasets: [{path: data/rows.jsonl}, {path: data/../../secret.yaml}]", "`datasets[1].path`"),
    ("datasets: [{path: \"data/rows\\0.jsonl\"}]", "`datasets[0].path`"),
    ("test_datasets: [{path: /etc/passwd}]", "`test_datasets[0].path`"),
    ("datasets: [{path: data, data_files: [/etc/passwd]}]", "`datasets[0].data_files`"),
    ("datasets: [{path: data, data_files: ../../secret.yaml}]", "`datasets[0].data_files`"),
    ("datasets: [{path: serve/token}]", "`datasets[0].path`"),
    ("datasets: [{path: serve/jobs.sqlite}]", "`datasets[0].path`"),
    ("datasets: [{path: data/rows.jsonl, chat_template_jinja: /etc/passwd}]", "`datasets[0].chat_template_jinja`"),
    ("chat_template_jinja: /etc/passwd", "`chat_template_jinja`"),
    ("deepspeed: /etc/passwd", "`deepspeed`"),
    ("sources: [{repo: /root}]", "`sources[0].repo`"),
    ("sources: [{repo: 'https://example.org/x.git'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: 'http://github.com/x/y.git'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: 'https://github.com:444/x/y.git'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: 'https://user@github.com/x/y.git'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: 'https://github.com.evil.org/x/y.git'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: 'git@github.com:x/y.git'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: 'ext::sh -c id'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: 'file:///etc'}]", "`serve.allow.hosts`"),
    ("sources: [{repo: ., allow_protocols: [ext]}]", "`allow_protocols`"),
    ("sources: [{docs: /etc/*.conf}]", "`sources[0].docs`"),
    ("sources: [{docs: [data, 'data/folder/*']}]", "`sources[0].docs`"),
    ("sources: [{schemas: /etc/x.json}]", "`sources[0].schemas`"),
    ("sources: [{tools: [git], tldr: /usr/share}]", "`sources[0].tldr`"),
    ("sources: [{docs: ['dat?/../../*.md']}]", "`sources[0].docs` is a pattern that goes up"),
    ("sources: [{schemas: ['data/*/../../../*.json']}]", "`sources[0].schemas` is a pattern that goes up"),
    ("datasets: [{path: more, data_files: ['*/../../x']}]", "`datasets[0].data_files` is a pattern that goes up"),
    ("sources: [{docs: ['data/link[1].md']}]", "`sources[0].docs` names a file"),
    ("sources: [{repo: serve/sources/s}]", "`sources[0].repo`"),
    ("sources: [{repo: serve}]", "`sources[0].repo`"),
    ("sources: [{docs: serve/runs/a-12345678}]", "`sources[0].docs`"),
    ("sources: [{docs: ['serve/*']}]", "`sources[0].docs`"),
    ("sources: [{schemas: [serve/run-files/x.json]}]", "`sources[0].schemas`"),
    ("datasets: [{path: serve/uploads/rows.jsonl}]", "`datasets[0].path`"),
    ("datasets: [{path: serve/run-files/rows.jsonl}]", "`datasets[0].path`"),
    ("datasets: [{path: data}]", "`datasets[0].path`: the link data/"),
    ("base_model: ./data", "`base_model`: the link data/"),
    ("sources: [{tldr: data}]", "`sources[0].tldr`: the link data/"),
    ("sources: [{tools: [git]}]", "`tools` is the owner's"),
    ("sources: [{tools: [/tmp/evil]}]", "`tools` is the owner's"),
    ("sources: [{tools: [reboot], help: [man, help]}]", "`--help`"),
    ("clean: {decontaminate: [/etc/passwd]}", "`clean.decontaminate`"),
    ("split: {keep: /runs/a}", "`split.keep`"),
    ("evaluate: {suites: [/etc/suite.yaml]}", "`evaluate.suites[0]`"),
    ("evaluate: {suites: [../uploads/suite.yaml]}", "`evaluate.suites[0]`"),
    ("guard: {rules: [../sources/s/rules.toml]}", "`guard.rules[0]`"),
    ("guard: {rules: [/etc/passwd]}", "`guard.rules[0]`"),
    ("guard: {rules: [../token]}", "`guard.rules[0]`"),
    ("guard: {rules: /etc/hostname}", "`guard.rules[0]`"),
    ("evaluate: {against: [/runs/a]}", "`evaluate.against[0]`"),
    ("evaluate: {against: /runs/a}", "`evaluate.against[0]`"),
    ("evaluate: {against: [{predictions: /etc/passwd}]}", "`evaluate.against[0]`"),
    ("engine: axolotl\naxolotl: {python: serve/uploads/python}", "`axolotl.python`"),
    ("mlflow_tracking_uri: http://169.254.169.254/", "`mlflow_tracking_uri`"),
    *((f"{key}: {value}", f"`{key}`") for key, value in SENDING.items()),
    ("use_wandb: 'yes'", "`use_wandb`"),
    ("wandb_log_model: end", "`wandb_log_model`"),
    ("endpoints: {x: {base_url: 'http://169.254.169.254/v1', model: m}}", "an endpoint"),
    ("endpoints: {x: {base_url: 'https://api.example.com/v1', model: m, api_key_env: AWS_SECRET}}", "an endpoint"),
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_what_may_be_named(allowed: Allowed, text: str) -> None:
    assert problems(allowed, text) == ""


@pytest.mark.parametrize(("text", "told"), BAD)
def test_what_may_not(allowed: Allowed, text: str, told: str) -> None:
    found = problems(allowed, text)
    assert told in found
    assert re.match(r"serve/run-files/sent\.yaml:\d+: ", found)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("datasets=[{path: /etc/passwd}]", "`datasets[0].path`"),
        ("datasets[0].path=/etc/passwd", "`datasets[0].path`"),
        ("base_model=/etc", "`base_model`"),
        ("evaluate.suites=[serve/uploads/suite.yaml]", "`evaluate.suites[0]`"),
        ("guard.rules=[/etc/passwd]", "`guard.rules[0]`"),
        ("endpoints.x.base_url=http://127.0.0.1:1/v1", "an endpoint"),
        *((f"{key}={value}", f"`{key}`") for key, value in SENDING.items()),
    ],
)
def test_what_is_set_is_held_to_the_same(allowed: Allowed, override: str, told: str) -> None:
    assert told in problems(allowed, "datasets: [{path: data/rows.jsonl}]", "serve/run-files/sent.yaml", override)


def test_what_the_owner_of_the_server_wrote_may_run_programs_and_ask_endpoints(allowed: Allowed) -> None:
    text = "engine: axolotl\naxolotl: {python: /opt/axolotl/bin/python}\nendpoints: {x: {base_url: 'http://127.0.0.1:1/v1', model: m}}"
    assert problems(allowed, text, "runs.yaml") == ""
    for place in ("serve/uploads/runs.yaml", "serve/sources/s/runs.yaml", "data/folder/secret.yaml"):
        assert "`axolotl.python`" in problems(allowed, text, place)
    assert problems(allowed, "sources: [{tools: [git], help: [help], allow_protocols: [file]}]", "runs.yaml") == ""
    # The served file may lie anywhere, and what it extends.
    assert problems(allowed, text, str(Path.cwd().parent / "served.yaml")) == ""
    assert allowed.steering_problem(Path("../served.yaml"), "run_file") is None
    # A key set from outside is not the owner's, whoever wrote the file.
    assert "an endpoint" in problems(allowed, text, "runs.yaml", "endpoints.x.api_key_env=AWS_SECRET")
    tools = "sources: [{tools: [git], help: [help]}]"
    assert "`tools`" in problems(allowed, tools, "runs.yaml", "sources[0].tools=[reboot]")


@pytest.mark.parametrize(
    "text",
    [
        "datasets: [{path: /models/served}]",
        "tokenizer_config: /models/served",
        "sources: [{docs: /models/served}]",
        "lora_model_dir: /models/served",
        "evaluate: {against: [/models/served]}",
        "engine: axolotl\naxolotl: {python: /models/served}",
        "axolotl: {python: http://tracking:5000}",
        "guard: {rules: [/models/served]}",
    ],
)
def test_what_the_owner_said_of_one_key_is_not_said_of_another(allowed: Allowed, text: str) -> None:
    assert problems(allowed, "base_model: /models/served") == ""
    assert problems(allowed, text) != ""


def test_what_the_owner_said_of_one_entry_of_a_list_may_be_said_of_another(allowed: Allowed) -> None:
    served = "datasets: [{path: /rows}, {path: /shards, data_files: [a.jsonl]}]\n"
    served += "sources: [{repo: 'git@10.0.0.1:a/b'}]\nguard: {rules: [/rules.toml]}"
    ours = replace(allowed, served=yaml_file.parse(served, "/served.yaml"))
    assert ours.own_repositories == ("git@10.0.0.1:a/b",)
    for text in ("datasets: [{path: data/rows.jsonl}, {path: /rows}]", "datasets: [{path: /shards, data_files: a.jsonl}]"):
        assert problems(ours, text) == ""
    assert problems(ours, "sources: [{repo: ., make: [explain]}, {repo: 'git@10.0.0.1:a/b'}]\nguard: {rules: [/rules.toml]}") == ""
    for text in ("datasets: [{path: /rules.toml}]", "datasets: [{path: /shards, data_files: b.jsonl}]", "guard: {rules: [/rows]}"):
        assert problems(ours, text) != ""


def test_no_file_is_read_that_is_extended_from_elsewhere(allowed: Allowed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own.yaml").write_text("extends: data/folder/secret.yaml\n")
    read: list[Path] = []
    monkeypatch.setattr(yaml_file, "read_text", lambda path: read.append(path) or Path(path).read_text())
    here = Path("serve/run-files/sent.yaml")
    for base in ("/etc/passwd", "../uploads/x.yaml", "../sources/s/x.yaml", "../../../secret.yaml", "../../data/link.jsonl", "../token"):
        (problem,) = allowed.chain_problems(here, f"extends: {base}")
        assert problem.where == "serve/run-files/sent.yaml:1"
        assert read == []
    (problem,) = allowed.chain_problems(here, "extends: [../../own.yaml]")
    assert problem.where.endswith("own.yaml:1")
    assert [path.name for path in read] == ["own.yaml"]


@pytest.mark.parametrize("place", ["/etc/passwd", "serve/uploads/run.yaml", "serve/sources/s/run.yaml", "data/link.jsonl", "a\0b"])
def test_run_files_lie_where_the_owner_writes(allowed: Allowed, place: str) -> None:
    assert allowed.steering_problem(Path(place), "run_file") is not None
    for good in ("run.yaml", "data/run.yaml", "serve/run-files/run.yaml"):
        assert allowed.steering_problem(Path(good), "run_file") is None


def test_every_key_that_holds_text_is_in_the_table_or_is_no_path() -> None:
    texts = {path for path, info in _fields_of(RunConfig, "") if "str" in str(info.annotation) and not path.startswith("serve")}
    entries = {f"{name}.*.{key}" for name in ("datasets", "test_datasets") for key in (*module.ENTRY_PATHS, "data_files")}
    sources = {f"sources.*.{key}" for key in (*module.SOURCE_PATHS, "repo", "tools")}
    rivals = {"evaluate.against", "evaluate.against.*.run", "evaluate.against.*.predictions"}
    endpoints = {"endpoints", "endpoints.*.base_url", "endpoints.*.api_key_env"}
    senders = {key for keys in TRACKERS for key in keys} & texts
    held = {*module.PATHS, *module.STEERING, *module.OWNERS, *senders, *(set(LABELS) & texts), *entries, *sources, *rivals, *endpoints}
    assert held <= texts, held - texts
    plain = [pattern for pattern in PLAIN.split() if pattern]
    assert [path for path in sorted(texts - held) if not any(re.fullmatch(pattern, path) for pattern in plain)] == []


def test_every_key_of_a_tracker_is_one_that_sends_or_a_label() -> None:
    """Truth values count here as texts do: they turn trackers on. What TensorBoard writes stays in the run folder."""
    assert {*SENDING, *LABELS, "use_tensorboard"} == set(TrackKeys.model_fields)
    assert {key for keys in TRACKERS for key in keys} == set(SENDING)


def test_a_tracker_of_the_owner_is_quieted_by_anybody_and_made_louder_by_nobody(allowed: Allowed) -> None:
    owners = yaml_file.parse("use_wandb: false\nwandb_project: ours\nwandb_mode: offline\n", "../served.yaml")
    allowed = replace(allowed, served=owners)
    assert problems(allowed, "wandb_project: ours\nuse_wandb: false\nwandb_mode: offline") == ""
    Path("runs.yaml").write_text(text := "use_wandb: false\nwandb_project: ours\nwandb_mode: offline\nwandb_log_model: end\n")
    for quiet in ("use_wandb=false", "wandb_mode=disabled", "wandb_project=null", "wandb_log_model=false", "wandb_entity=null"):
        assert problems(allowed, text, "runs.yaml", quiet) == ""
    for loud in ("use_wandb=null", "wandb_mode=null", "wandb_mode=online", "use_wandb=true", "wandb_log_model=checkpoint"):
        assert f"`{loud.split('=')[0]}`" in problems(allowed, text, "runs.yaml", loud)


def test_what_a_run_file_says_may_be_read_does_not_lead_out_or_into_the_state(allowed: Allowed, tmp_path: Path) -> None:
    """Whatever the check lets pass, the reader of documents finds nothing outside, and nothing of the server."""
    with allowed.root.held():
        for name in ("serve/token.md", "serve/run-files/a.md", "data/a.md", "../outside.md"):
            Path(name).write_text("text")
    for name in (".", "**/*.md", "*/*.md"):
        assert documents(name) == {Path("data/a.md").absolute()}
    for name in ("s?rve/*.md", "s*/**/*.md", "dat?/../../*.md"):
        with pytest.raises(DataError, match="no file fits the pattern"):
            documents(name)


def documents(name: str) -> set[Path]:
    entry = SourceEntry.model_validate({"docs": [name]})
    return set(find(entry, "docs", (name,), lambda path: path.endswith(".md")).files.values())


def test_an_empty_file_names_nothing(allowed: Allowed) -> None:
    assert allowed.problems(Document({})) == []
