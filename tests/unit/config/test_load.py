"""Run files: what is accepted as it stands, what is resolved, and what every mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from luthier.config.load import LoadedRun, load
from luthier.core.errors import ConfigError, Problem

ROOT = Path(__file__).parents[3]
BASE = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{path: rows.jsonl}]\n"


def load_text(tmp_path: Path, text: str, *overrides: str) -> LoadedRun:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, overrides)


def problems_of(tmp_path: Path, text: str, *overrides: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text, *overrides)
    return list(caught.value.problems)


class TestAccepted:
    def test_the_command_standard(self) -> None:
        config = load(ROOT / "examples/command-standard/run.yaml").config
        assert config.load_in_4bit
        assert config.learning_rate == 2e-4
        assert config.lora_settings().all_linear
        assert config.batch_settings().accumulation_steps == 8
        assert config.datasets[0].type == "alpaca"

    def test_the_codebase_assistant(self) -> None:
        loaded = load(ROOT / "examples/codebase-assistant/run.yaml")
        assert loaded.config.adapter == "lora"
        assert (loaded.config.lora_r, loaded.config.lora_alpha, loaded.config.lora_dropout) == (16, 32, 0.05)
        assert loaded.config.micro_batch_size == 1
        assert [source.repo for source in loaded.config.sources] == ["."]
        assert not loaded.warnings

    def test_commands_that_nobody_looks_at_are_told(self, tmp_path: Path) -> None:
        head = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\n"
        rows, source = "datasets: [{path: a.jsonl}]\n", "sources: [{repo: .}]\n"
        for text, told in (
            (rows, "`datasets` without `clean`"),
            (rows + "clean: {}\n", ""),
            (source, ""),
            (rows + source, "`datasets` without `clean`"),
            (source + "clean: {shell: false}\n", "turned off by clean.shell"),
        ):
            warnings = load_text(tmp_path, head + text).warnings
            assert [told in warning for warning in warnings] == ([True] if told else [])

    def test_the_split_files(self) -> None:
        loaded = load(ROOT / "examples/framework-docs/run.yaml")
        assert loaded.config.load_in_4bit
        assert loaded.config.lora_settings().targets[0] == "q_proj"
        assert not loaded.config.lora_settings().all_linear
        debug = load(ROOT / "examples/framework-docs/debug.yaml").config
        assert debug.max_steps == 2
        assert debug.sequence_len == 512
        assert debug.lora_r == 64

    def test_the_four_bit_block_can_be_commented_out(self, tmp_path: Path) -> None:
        text = (ROOT / "examples/framework-docs/model/qwen-7b-lora.yaml").read_text()
        head, block = text.split("quantization:")
        commented = head + "quantization:\n" + "".join(f"# {line}\n" for line in block.splitlines())
        config = load_text(tmp_path, commented + "\nlearning_rate: 1e-4\n").config
        assert not config.load_in_4bit

    def test_no_target_means_all_linears_and_is_said(self, tmp_path: Path) -> None:
        loaded = load_text(tmp_path, BASE)
        assert loaded.config.lora_settings().all_linear
        assert any("every linear layer" in note for note in loaded.notes)

    @pytest.mark.parametrize(
        ("written", "value"),
        [("2e-4", 2e-4), ("'2e-4'", 2e-4), ("2.0E-4", 2e-4), ("1", 1.0), (".5", 0.5)],
    )
    def test_numbers(self, tmp_path: Path, written: str, value: float) -> None:
        assert load_text(tmp_path, BASE, f"learning_rate={written}").config.learning_rate == value

    @pytest.mark.parametrize(("written", "value"), [("yes", True), ("no", False), ("true", True), ("False", False)])
    def test_booleans(self, tmp_path: Path, written: str, value: bool) -> None:
        assert load_text(tmp_path, BASE + f"sample_packing: {written}\n").config.sample_packing is value

    def test_null_leaves_the_default(self, tmp_path: Path) -> None:
        assert load_text(tmp_path, BASE + "sequence_len: null\nfsdp: null\nwandb_project:\n").config.sequence_len == 512

    def test_refused_keys_that_ask_for_nothing_pass_with_a_note(self, tmp_path: Path) -> None:
        loaded = load_text(tmp_path, BASE + "fsdp: []\ndeepspeed: ''\ntrust_remote_code: false\n")
        assert sum("asks for nothing" in note for note in loaded.notes) == 2
        assert loaded.config.deepspeed is None

    def test_overrides_reach_into_lists_and_sections(self, tmp_path: Path) -> None:
        loaded = load_text(tmp_path, BASE, "datasets.0.type=alpaca", "split.test=0.1", "lora.r=4", "lora_target_modules=[q_proj, v_proj]")
        assert loaded.config.datasets[0].type == "alpaca"
        assert loaded.config.split is not None
        assert loaded.config.split.test == 0.1
        assert loaded.config.lora_r == 4
        assert loaded.config.lora_target_modules == ("q_proj", "v_proj")

    def test_an_override_wins_over_another_spelling_in_the_file(self, tmp_path: Path) -> None:
        text = BASE + "num_train_epochs: 3\nlora: {r: 8}\nmicro_batch_size: 2\n"
        config = load_text(tmp_path, text, "num_epochs=5", "lora_r=4", "per_device_train_batch_size=7").config
        assert (config.num_epochs, config.lora_r, config.micro_batch_size) == (5, 4, 7)

    def test_targets_are_the_union(self, tmp_path: Path) -> None:
        settings = load_text(tmp_path, BASE + "lora_target_linear: true\nlora_target_modules: [lm_head]\n").config.lora_settings()
        assert settings.all_linear
        assert settings.targets == ("lm_head",)

    def test_batch_size_becomes_accumulation(self, tmp_path: Path) -> None:
        settings = load_text(tmp_path, BASE + "batch_size: 12\nmicro_batch_size: 3\n").config.batch_settings()
        assert (settings.micro_batch_size, settings.accumulation_steps) == (3, 4)

    def test_suite_files_start_at_the_file_that_names_them(self, tmp_path: Path) -> None:
        (tmp_path / "inner").mkdir()
        (tmp_path / "inner" / "base.yaml").write_text("evaluate: {suites: [tasks/mine.yaml, commands]}\n")
        loaded = load_text(tmp_path, "extends: inner/base.yaml\n" + BASE)
        assert loaded.config.evaluate.suites == ((tmp_path / "inner/tasks/mine.yaml").as_posix(), "commands")

    def test_the_name_changes_with_results_only(self, tmp_path: Path) -> None:
        names = [load_text(tmp_path, BASE, *more).name for more in ((), ("logging_steps=7",), ("output_dir=x",), ("learning_rate=2e-3",))]
        assert names[0] == names[1] == names[2] != names[3]

    def test_the_resolved_file_loads_to_the_same_configuration(self, tmp_path: Path) -> None:
        first = load(ROOT / "examples/framework-docs/run.yaml")
        resolved = tmp_path / "resolved.yaml"
        resolved.write_text(first.resolved_text(), encoding="utf-8")
        assert load(resolved).config == first.config


def test_a_name_of_the_same_letters_is_the_nearest(tmp_path: Path) -> None:
    told = " ".join(problem.text() for problem in problems_of(tmp_path, BASE + "serve: {prot: 80}\n"))
    assert "serve.port" in told
    assert "serve.root" not in told


class TestExtends:
    def test_the_upper_file_wins_and_sections_merge(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("lora_r: 4\nsplit: {validation: 0.1, seed: 1}\nnum_epochs: 3\n")
        (tmp_path / "b.yaml").write_text("num_epochs: 5\n")
        config = load_text(tmp_path, "extends: [a.yaml, b.yaml]\nsplit: {seed: 2}\n" + BASE).config
        assert (config.lora_r, config.num_epochs) == (4, 5.0)
        assert config.split is not None
        assert (config.split.validation, config.split.seed) == (0.1, 2)

    def test_the_upper_file_wins_over_another_spelling_below(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("num_train_epochs: 3\nlora: {r: 4}\n")
        config = load_text(tmp_path, "extends: a.yaml\nnum_epochs: 5\nlora_r: 2\n" + BASE).config
        assert (config.num_epochs, config.lora_r) == (5, 2)

    def test_a_circle_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("extends: run.yaml\n")
        assert "leads back" in problems_of(tmp_path, "extends: a.yaml\n" + BASE)[0].what

    def test_a_missing_file_names_the_nearest(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text("lora_r: 4\n")
        found = problems_of(tmp_path, "extends: bsae.yaml\n" + BASE)[0]
        assert found.where.endswith("run.yaml:1")
        assert "base.yaml" in found.hint

    def test_a_problem_is_placed_in_the_file_that_holds_it(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("\nlora_r: -1\n")
        assert problems_of(tmp_path, "extends: a.yaml\n" + BASE)[0].where.endswith("a.yaml:2")


WRONG = [
    ("lerning_rate: 1\n", 5, "unknown key `lerning_rate`", "learning_rate"),
    ("sample_paking: true\n", 5, "unknown key", "sample_packing"),
    ("evaluate: {shotz: 3}\n", 5, "unknown key `evaluate.shotz`", "evaluate.shots"),
    ("lora: {rr: 3}\n", 5, "unknown key", "lora"),
    ("lora_r: many\n", 5, "whole number", ""),
    ("lora_r: 0\n", 5, "at least 1", ""),
    ("lora_r: 2.5\n", 5, "whole number", ""),
    ("lora_r: true\n", 5, "a number is meant", ""),
    ("sequence_len: -1\n", 5, "at least", ""),
    ("sample_packing: maybe\n", 5, "true or false", ""),
    ("num_epochs: .inf\n", 5, "finite", ""),
    ("optimizer: adamw_8bti\n", 5, "none of the known", "adamw_8bit"),
    ("optimizer: lomo\n", 5, "not in this version yet", ""),
    ("lr_scheduler: cosin\n", 5, "none of the known", "cosine"),
    ("chat_template: chatlm\n", 5, "unknown chat template", "chatml"),
    ("export: [adaptor]\n", 5, "unknown export target", "adapter"),
    ("export: ['gguf:q8_0']\n", 5, "not in this version yet", ""),
    ("evaluate: {gate: {commands.exact_match: {min: 1.5}}}\n", 5, "`min` of a rate lies between 0 and 1", ""),
    ("evaluate: {gate: {commands.exact_match: {mn: 0.5}}}\n", 5, "unknown key", "did you mean"),
    ("evaluate: {gate: {commands.exact_match: {min: half}}}\n", 5, "a number is meant", ""),
    ("evaluate: {gate: {commands.exact_match: {min: 0.5, max: 0.4}}}\n", 5, "`min` is larger than `max`", ""),
    ("evaluate: {gate: {commands.exact_match: {}}}\n", 5, "has no bound", "min_gain"),
    ("evaluate: {gate: {commands.exact_match: 0.5}}\n", 5, "wrong value", ""),
    ("evaluate: {gate: {exact_match: {min: 0.5}}}\n", 5, "names no metric of a suite", "SUITE.METRIC"),
    ("evaluate: {gate: {commands.exact_match: {min: 0.5, over: base}}}\n", 5, "`over` acts only beside", ""),
    ("evaluate: {gate: {commands.exact_match: {min_gain: 0.5, over: bse}}}\n", 5, "`over` names nothing", "did you mean `base`"),
    ("evaluate: {gate: {commands.exact_match: {min_gain: 0.5}}, against: []}\n", 5, "wants something to compare with", ""),
    ("evaluate: {gate: {commands.exact_match: {min_gain: -0.5}}}\n", 5, "at least 0", ""),
    ("evaluate: {gate: {perplexity.perplexity: {judged_by: mean, max: 20}}}\n", 5, "none of the known ones", ""),
    ("evaluate: {suites: [comands]}\n", 5, "unknown suite", "commands"),
    ("engine: axolotl\n", 5, "wants the environment that has it", "axolotl: {python:"),
    ("eval_steps: 5\nevals_per_epoch: 1\nval_set_size: 0.1\n", 6, "exclude each other", ""),
    ("val_set_size: 0.1\nsplit: {test: 0.1}\n", 6, "exclude each other", ""),
    ("val_set_size: 0.1\ntest_datasets: [{path: x.jsonl}]\n", 6, "exclude each other", ""),
    ("batch_size: 8\ngradient_accumulation_steps: 2\nmicro_batch_size: 4\n", 6, "exclude each other", ""),
    ("batch_size: 8\n", 5, "wants `micro_batch_size`", ""),
    ("batch_size: 8\nmicro_batch_size: 3\n", 5, "no multiple", ""),
    ("warmup_steps: 5\nwarmup_ratio: 0.1\n", 6, "exclude each other", ""),
    ("save_steps: 5\nsave_strategy: epoch\n", 5, "acts only with", ""),
    ("saves_per_epoch: 2\nsave_strategy: best\nval_set_size: 0.1\n", 5, "acts only with", ""),
    ("evals_per_epoch: 2\neval_strategy: epoch\nval_set_size: 0.1\n", 5, "acts only with", ""),
    ('batch_size: "7"\nmicro_batch_size: "4"\n', 5, "no multiple", ""),
    ('split: {validation: "0.7", test: "0.7"}\n', 5, "leaves no rows", ""),
    ("chat_template_jinja: no/such.jinja\n", 5, "cannot be read", "path of a file"),
    ("seed: !!int abc\n", 5, "no value of the type", ""),
    ("fp16: true\nbf16: true\n", 5, "exclude each other", "bf16: false"),
    ("bf16: maybe\n", 5, "true, false or auto", ""),
    ("gradient_checkpointing: offload\n", 5, "is not what Luthier does", "made again, not moved"),
    ("gradient_checkpointing: sometimes\n", 5, "true, false or auto", ""),
    ("micro_batch_size: some\n", 5, "a whole number or auto is meant", ""),
    ("micro_batch_size: 0\n", 5, "at least 1", ""),
    ("micro_batch_size: true\n", 5, "a number is meant", ""),
    ("micro_batch_size: auto\n", 5, "wants `batch_size`", "batch_size: 16"),
    ("gradient_accumulation_steps: 4\nmicro_batch_size: auto\n", 5, "follows from", "batch_size: 16"),
    ("micro_batch_size: auto\nbatch_size: 8\ndeterministic: true\n", 5, "wants a number", "luthier plan"),
    ("auto_find_batch_size: true\n", 5, "not a key of Luthier", "micro_batch_size: auto"),
    ("sample_pakcing:\n", 5, "unknown key", "sample_packing"),
    ("lora_target_modules: 4\n", 5, "wrong value", ""),
    ("export: 5\n", 5, "wrong value", ""),
    ("evaluate: {suites: 5}\n", 5, "wrong value", ""),
    ("extends: 5\n", 5, "takes a file or a list of files", ""),
    ("extends: none.yaml\n", 5, "does not exist", ""),
    ("sdp_attention: -5\n", 5, "true or false is meant", ""),
    ("seed: 99999999999999999999999\n", 5, "less than", ""),
    ("lora_r: 999999999999\n", 5, "at most", ""),
    ('output_dir: "a\\0b"\n', 5, "control character", ""),
    ("chat_template: qwen3\n", 5, "not in this version yet", "tokenizer_default"),
    ("datasets: [{path: rosw.jsonl}]\n", 5, "not there", ""),
    ("split: !foo {test: 0.1}\n", 5, "is not allowed", "plain value"),
    ("eval_steps: 5\n", 5, "no rows are held out", "val_set_size"),
    ("early_stopping_patience: 2\n", 5, "wants held-out rows", "val_set_size"),
    ("load_best_model_at_end: true\n", 5, "wants held-out rows", "val_set_size"),
    ("early_stopping_patience: 2\nval_set_size: 0.1\neval_strategy: 'no'\n", 5, "wants evaluations, and `eval_strategy: no`", "eval_steps"),
    ("load_best_model_at_end: true\nval_set_size: 0.1\nevals_per_epoch: 0\n", 5, "`evals_per_epoch: 0` stands in", "eval_steps"),
    ("early_stopping_patience: 0\nval_set_size: 0.1\n", 5, "at least 1", ""),
    ("metric_for_best_model: eval_accuracy\n", 5, "lowest evaluation loss", ""),
    ("loss_watchdog_patience: 2\n", 5, "acts only with `loss_watchdog_threshold`", "twice"),
    ("loss_watchdog_threshold: 0\n", 5, "more than 0", ""),
    ("loss_per_row: true\n", 5, "wants held-out rows", "val_set_size"),
    ("greater_is_better: true\n", 5, "lowest evaluation loss", ""),
    ("cosine_min_lr_ratio: 0.1\nlr_scheduler: linear\n", 5, "acts only with", ""),
    ("split: {validation: 0.5, test: 0.5}\n", 5, "leaves no rows", ""),
    ("chat_template: jinja\n", 5, "wants `chat_template_jinja`", ""),
    ("test_datasets: [{path: x, type: alpaca, roles: {user: [human]}}]\n", 5, "`roles` acts only with", "leave it out"),
    ("test_datasets: [{path: x, type: alpaca, field_messages: talk}]\n", 5, "`field_messages` acts only with", "leave it out"),
    ("test_datasets: [{path: x, type: alpaca, chat_template: chatml}]\n", 5, "`chat_template` acts only with", "leave it out"),
    ("test_datasets: [{path: x, type: completion, roles: {user: human}}]\n", 5, "`roles` acts only with", "leave it out"),
    ("test_datasets: [{path: x, field: text}]\n", 5, "`field` acts only with", "leave it out"),
    ("test_datasets: [{path: x, type: {format: '{instruction}'}, field_system: s}]\n", 5, "`field_system` acts only with", "inside `type`"),
    ("test_datasets: [{path: x, chat_template: tokenizer_default_fallback_chatml}]\n", 5, "not in this version yet", "top level"),
    ("lora_target_modules: ['q_(']\n", 5, "no valid pattern", ""),
    ("deepspeed: ds.json\n", 5, "the file of `deepspeed` cannot be read", "DeepSpeed's JSON file"),
    ("lora_r: 1\nlora_r: 2\n", 6, "stands twice", ""),
    ("micro_batch_size: 2\nper_device_train_batch_size: 3\n", 6, "another spelling", "micro_batch_size"),
    ("sources: [{repo: 'https://joe:pw12345x@example.org/r.git'}]\n", 5, "`sources[0].repo` holds a secret", "credential.helper"),
    ("wandb_api_key: abcdef\n", 5, "holds a secret", "environment"),
    ("run_name: hf_abcdefghijklmnopqrstuvwx\n", 5, "holds a secret", "environment"),
]


@pytest.mark.parametrize(("text", "line", "what", "hint"), WRONG, ids=[text.split("\n")[0] for text, *_ in WRONG])
def test_a_mistake_is_answered_with_place_and_remedy(tmp_path: Path, text: str, line: int, what: str, hint: str) -> None:
    found = problems_of(tmp_path, BASE + text)
    fitting = [problem for problem in found if what in problem.text()]
    assert fitting, "\n".join(problem.text() for problem in found)
    assert fitting[0].where.endswith(f"run.yaml:{line}"), fitting[0].where
    assert hint in fitting[0].hint, fitting[0].hint


DATA_ONLY = "base_model: starter\ndatasets: [{path: rows.jsonl, type: alpaca}]\n"


def test_a_file_for_data_alone_wants_nothing_of_training(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(DATA_ONLY)
    loaded = load(path, for_data=True)
    assert loaded.stand_ins == ("learning_rate",)
    assert "without `learning_rate` the file is good for data; training will want it too" in loaded.notes
    # Nothing that is kept bears what stands in: training would take it for the user's.
    kept = yaml.safe_load(loaded.resolved_text())
    assert not {"adapter", "learning_rate"} & set(kept)
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert {problem.what for problem in raised.value.problems} >= {"the key `learning_rate` is missing"}
    path.write_text(DATA_ONLY + "adapter: lora\nlearning_rate: 1.0\n")
    whole = load(path, for_data=True)
    assert whole.stand_ins == ()
    assert whole.name != loaded.name
    path.write_text(DATA_ONLY + "learning_rate: -1\n")
    with pytest.raises(ConfigError, match="learning_rate"):
        load(path, for_data=True)


@pytest.mark.parametrize("kind", ["alpaca", "completion", "prompt_completion", "chat_template"])
@pytest.mark.parametrize("for_data", [True, False])
def test_a_run_folder_is_loaded_again_whatever_the_type_of_its_rows(tmp_path: Path, kind: str, for_data: bool) -> None:
    """Its resolved file has every key of an entry, those of other types too."""
    text = DATA_ONLY.replace("alpaca", kind) + ("" if for_data else "adapter: lora\nlearning_rate: 1e-3\n")
    (tmp_path / "run.yaml").write_text(text)
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "resolved.yaml").write_text(load(tmp_path / "run.yaml", for_data=for_data).resolved_text())
    assert load(folder, for_data=for_data).config.datasets[0].type == kind


def test_all_problems_of_a_file_come_at_once(tmp_path: Path) -> None:
    text = "base_modle: x\nlora_r: -3\noptimizer: adamw_8bti\ndatasets:\n  - path: x\n    typ: alpaca\n"
    found = problems_of(tmp_path, text)
    assert [problem.where.rsplit(":", 1)[-1] for problem in found if problem.where.count(":")] == ["1", "2", "3", "5", "6"]
    assert {"base_model", "learning_rate", "datasets[0].typ"} <= {word for problem in found for word in problem.what.split("`")}


def test_a_secret_is_never_repeated(tmp_path: Path) -> None:
    found = problems_of(tmp_path, BASE + "hub_token: hf_abcdefghijklmnopqrstuvwx\n")
    assert "hf_abc" not in "\n".join(problem.text() for problem in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b\n",
        "just words",
        "a: [1, 2\n",
        "a: b: c\n",
        "\tkey: 1\n",
        "a: 1\n---\nb: 2\n",
        "{" * 5000,
        "a: &x [*x]\n",
        "a: !!python/object:os.system x\n",
        "%YAML 9.9\n---\na",
    ],
)
def test_rubbish_is_an_error_with_a_place_and_never_a_traceback(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text)[0].where


def test_aliases_are_bounded(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "too many" in problems_of(tmp_path, "\n".join(lines))[0].what


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"bytes.yaml:2"):
        load(tmp_path / "bytes.yaml")
    with pytest.raises(ConfigError, match="no run folder"):
        load(tmp_path)


def test_a_run_folder_takes_keys_that_change_no_result_where_they_are_read(tmp_path: Path) -> None:
    made = load_text(tmp_path, "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{path: rows.jsonl}]\n")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "resolved.yaml").write_text(made.resolved_text())
    served = load(folder, ["serve.logs.bytes=123456", "serve.guard=block"], idle_sections=("serve",))
    assert (served.config.serve.logs.bytes, served.config.serve.guard) == (123456, "block")
    assert served.folder == served.existing_folder == folder
    assert served.config.result_fields() == load(folder).config.result_fields()
    for key, idle in (("serve.logs.bytes", ()), ("lora_r", ("serve",)), ("server", ("serve",))):
        with pytest.raises(ConfigError, match=f"`{key}` cannot be set in a run folder") as raised:
            load(folder, ["serve.guard=block", f"{key}=7"] if idle else [f"{key}=7"], idle_sections=idle)
        assert "for another run" in raised.value.problems[0].hint
    with pytest.raises(ConfigError, match=r"serve\.logs\.byte"):
        load(folder, ["serve.logs.byte=7"], idle_sections=("serve",))


@pytest.mark.parametrize("override", ["learning_rate", "=3", "datasets.7.path=x", "lora_r.x=3"])
def test_a_wrong_override_is_refused(tmp_path: Path, override: str) -> None:
    assert "--set" in problems_of(tmp_path, BASE, override)[0].where


def test_a_template_file_is_read_into_the_resolved_run(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("{{ messages }}")
    own = f"chat_template_jinja: {tmp_path}/mine.jinja\ntest_datasets: [{{path: x, chat_template_jinja: {tmp_path}/mine.jinja}}]\n"
    (tmp_path / "run.yaml").write_text(BASE + own)
    first = load(tmp_path / "run.yaml")
    assert (first.config.chat_template_jinja, first.config.test_datasets[0].chat_template_jinja) == ("{{ messages }}", "{{ messages }}")
    (tmp_path / "mine.jinja").write_text("{{ messages }}!")
    assert load(tmp_path / "run.yaml").name != first.name


def test_words_of_a_vocabulary_are_no_secrets(tmp_path: Path) -> None:
    found = problems_of(tmp_path, BASE + "special_tokens: {pad_token: '<|end|>'}\n")
    assert any("special_tokens" in problem.what for problem in found)
    assert not any("secret" in problem.what for problem in found)


@pytest.mark.parametrize("key", ["5", "datasets.x", "learning_rate.x", "datasets.7.path", "extends"])
def test_a_setting_that_fits_nowhere_says_so(tmp_path: Path, key: str) -> None:
    found = problems_of(tmp_path, BASE, f"{key}=1")
    assert [problem.where for problem in found] == ["--set"]


def test_yes_is_true_in_rules_too(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("base_model: starter\nadapter: qlora\nload_in_4bit: Yes\nlearning_rate: 1e-3\n")
    assert load(tmp_path / "run.yaml").config.load_in_4bit


def test_nulls_leave_defaults_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(BASE + "test_datasets: [{path: x, type: null}]\nsplit: {test: null}\n")
    config = load(tmp_path / "run.yaml").config
    assert (config.test_datasets[0].type, config.split and config.split.test) == ("chat_template", 0.0)


def test_settings_may_be_values(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(BASE)
    config = load(tmp_path / "run.yaml", {"split": {"validation": 0.1, "test": 0.2}, "num_train_epochs": 3}).config
    assert config.split is not None
    assert (config.split.validation, config.split.test, config.num_epochs) == (0.1, 0.2, 3)


def test_an_alias_of_itself_is_an_error(tmp_path: Path) -> None:
    assert "alias" in problems_of(tmp_path, BASE + "split: &a {<<: *a}\n")[0].what


@pytest.mark.parametrize("key", ["flash_attention: true", "attn_implementation: flash_attention_2", "flex_attention: true"])
def test_another_way_to_the_same_result_is_noted(tmp_path: Path, key: str) -> None:
    (tmp_path / "run.yaml").write_text(f"{BASE}{key}\n")
    loaded = load(tmp_path / "run.yaml")
    assert loaded.config.attn_implementation is None
    assert any("the result is the same" in note for note in loaded.notes)


def test_pinned_memory_wants_weights_that_are_kept_in_main_memory(tmp_path):
    keys = BASE + "optimizer: adamw_torch\nfsdp_config: {cpu_offload_pin_memory: false"
    with pytest.raises(ConfigError, match=r"cpu_offload_pin_memory` acts only with `fsdp_config.offload_params: true`"):
        load_text(tmp_path, keys + "}\n")
    settings = load_text(tmp_path, keys + ", offload_params: true}\n").config.shard_settings()
    assert (settings.offloads, settings.pins, settings.reshards) == (True, False, True)


def test_a_base_in_4_bits_is_read_by_each_process(tmp_path):
    keys = BASE + "load_in_4bit: true\noptimizer: adamw_torch\nfsdp_config: {cpu_ram_efficient_loading: true}\n"
    with pytest.raises(ConfigError, match=r"cpu_ram_efficient_loading` does not go with `load_in_4bit`"):
        load_text(tmp_path, keys)
