"""The typed schema of a run file: Axolotl's names and meanings, Luthier's own sections, and the frozen sections that the rooms take.

Every field names the stages whose result it can change (`data`, `train`, `evaluate`, `export`), or `none`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from luthier.config.keys.adapter import AdapterKeys
from luthier.config.keys.base import BaseKeys
from luthier.config.keys.batches import BatchKeys
from luthier.config.keys.fields import MOST, Float, Int, Names, Section, Stage, key, kind_of, one_or_many, stages_of
from luthier.config.keys.precision import PrecisionKeys
from luthier.config.keys.processes import ProcessKeys
from luthier.config.keys.samples import SampleKeys
from luthier.config.keys.schedule import ScheduleKeys
from luthier.config.keys.tokens import TokenKeys
from luthier.config.keys.tracking import TrackKeys
from luthier.config.keys.watching import WatchKeys
from luthier.config.row_sections import AugmentSection, CleanSection, DatasetEntry, DataSettings, RowFormat, SourceEntry, SplitSection
from luthier.config.serve_section import ServeSection
from luthier.core.candidates import OWN_CANDIDATES, PARSER

ChatTemplateName = Literal["tokenizer_default", "jinja", "alpaca", "chatml", "llama3", "mistral_v1", "gemma", "phi_3", "phi_4", "qwen_25"]
FALLBACK_PREFIX = "tokenizer_default_fallback_"


class PriceSection(Section):
    """What an endpoint charges, in any one currency, for a million tokens."""

    input: Float = key(..., "none", "Price of a million tokens of prompt.", ge=0)
    output: Float = key(..., "none", "Price of a million tokens of answer.", ge=0)


class EndpointSection(Section):
    """A remote model behind an OpenAI-compatible API. The key itself stands in an environment variable, never in a run file."""

    base_url: str = key(
        ...,
        "evaluate",
        "Address of the API, up to and with its version: `https://host/v1`.",
        pattern=r"^https?://[^\s@?#]+$",
        max_length=2000,
    )
    model: str = key(..., "evaluate", "Name of the model at the endpoint.", min_length=1, max_length=400)
    # Capitals alone: a key that was pasted here by mistake is refused, and what is refused is not shown.
    api_key_env: str | None = key(
        None, "none", "Environment variable that holds the key, in capitals.", pattern=r"^[A-Z_][A-Z0-9_]*$", max_length=100
    )
    price: PriceSection | None = key(None, "none", "Price of a million tokens, for the cost that is told after use.")
    timeout_seconds: Float = key(
        120.0, "none", "Longest wait for one reply, from the first byte sent to the last received.", gt=0, le=86_400
    )
    concurrency: Int = key(4, "none", "Requests under way at once.", ge=1, le=256)
    retries: Int = key(4, "none", "Further tries after 408, 409, 425, 429, 5xx, a time-out or a broken connection.", ge=0, le=20)
    log_probabilities: bool = key(
        False, "evaluate", "It tells log-probabilities of given texts (`prompt_logprobs` of vLLM, or `echo`), for suites that are scored."
    )
    limit_key: Literal["auto", "max_tokens", "max_completion_tokens"] = key(
        "auto",
        "none",
        "How the longest answer is written; `auto` begins with `max_tokens` and changes when the endpoint asks for the other.",
    )

    @property
    def identity(self) -> str:
        """Whose replies these are: address and model; everything else of an endpoint is how it is asked."""
        return f"{self.model} at {self.base_url}"


class AgainstEntry(Section):
    """Something to compare with that lies on this machine: another run's tuned model, or predictions made elsewhere."""

    run: str | None = key(None, "evaluate", "Folder of an earlier run, whose tuned model is asked.", min_length=1)
    predictions: str | None = key(None, "evaluate", "JSON Lines file with answers that were made elsewhere.", min_length=1)
    name: str | None = key(
        None,
        "evaluate",
        "Name in the tables; the folder's or the file's own where it is not given.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    )


Against = Annotated[Annotated[str, Tag("name")] | Annotated[AgainstEntry, Tag("mapping")], Discriminator(kind_of)]


class GateRule(Section):
    """What one metric of one suite must reach for the run to pass. A gain is an improvement, whichever way is better for the metric."""

    min: Float | None = key(None, "none", "Least value of the tuned model.")
    max: Float | None = key(None, "none", "Largest value of the tuned model.")
    min_gain: Float | None = key(None, "none", "Least improvement over the best of the others, or over the one that `over` names.", ge=0)
    max_loss: Float | None = key(None, "none", "Largest worsening against the best of the others, or the one that `over` names.", ge=0)
    over: str | None = key(None, "none", "The candidate that `min_gain` and `max_loss` compare with.", min_length=1)
    judged_by: Literal["value", "interval"] = key(
        "value", "none", "Hold the value to the bounds, or the end of its 95 % interval that is nearer to missing them."
    )


class EvaluateSection(Section):
    """What is measured after training."""

    suites: Names = key(("commands",), "evaluate", "Built-in names or suite files.")
    against: Annotated[tuple[Against, ...], BeforeValidator(one_or_many)] = key(
        OWN_CANDIDATES,
        "evaluate",
        "What the tuned model is compared with: these, an endpoint (also with `+parser`), `checkpoint-N`, a run folder or a mapping.",
    )
    shots: Int = key(4, "evaluate", "Training rows shown to `base+shots`.", ge=1, le=32)
    max_new_tokens: Int = key(128, "evaluate", "Longest answer in tokens.", ge=1, le=MOST)
    batch_size: Int = key(32, "evaluate", "Requests generated at once.", ge=1)
    engine: Literal["local", "vllm"] = key("local", "evaluate", "What runs the run's own models; `vllm` wants it installed.")
    judge: str | None = key(None, "evaluate", "The endpoint that judges where a suite asks for a judge model.")
    gate: dict[str, GateRule] = key({}, "none", "Bounds by `suite.metric`; a run that misses one ends with exit code 3.")


class AxolotlSection(Section):
    """The environment that `engine: axolotl` trains in."""

    python: str = key(
        ..., "none", "Python of a virtual environment with Axolotl 0.19; its packages' versions are in the key of training.", min_length=1
    )


class GuardSection(Section):
    """What the command guard minds beside its own rules, and what is done about its verdicts."""

    rules: Annotated[tuple[str | dict[str, Any], ...], BeforeValidator(one_or_many)] = key(
        (), "evaluate", "Further rules, each a mapping, or files of rules."
    )
    protect: Names = key((), "evaluate", "Paths that no command may write, move or delete; `~`, `*` and `**` as in a shell.")
    allow_hosts: Names = key((), "evaluate", "Hosts whose code may be run and which may be sent credentials.")
    policy: dict[str, Literal["allow", "ask", "reject"]] = key(
        {}, "none", "What is done by level, class or `level:class`; otherwise dangerous is rejected, and asked about what is unknown."
    )

    def rule_files(self) -> tuple[str, ...]:
        """The files of rules among `rules`."""
        return tuple(entry for entry in self.rules if isinstance(entry, str))


# The later base's keys come first in the order of the keys.
class RunConfig(TrackKeys, SampleKeys, WatchKeys, ProcessKeys, PrecisionKeys, ScheduleKeys, BatchKeys, TokenKeys, AdapterKeys, BaseKeys):
    """A resolved run file."""

    # Data
    datasets: tuple[DatasetEntry, ...] = key((), "data", "Rows to train on.")
    test_datasets: tuple[DatasetEntry, ...] = key((), "data", "Rows for the evaluation loss.")
    sources: tuple[SourceEntry, ...] = key((), "data", "Repositories, documents, tools and schemas to make rows of.")
    val_set_size: Float = key(0.0, "data", "Share (below 1) or number of rows held out for the evaluation loss.", ge=0)
    dataset_exact_deduplication: bool = key(False, "data", "Drop rows that are equal to an earlier one.")
    max_bad_rows: Float = key(0.1, "data", "Share (below 1) or number of unreadable rows above which the run stops.", ge=0)
    # Luthier's own
    run_name: str | None = key(
        None, "none", "Name of the run; the file's stem where it is not given.", pattern=r"^[A-Za-z0-9._-]+$", max_length=200
    )
    output_dir: str = key("runs", "none", "Folder that holds the run folders.", min_length=1, pattern=r"^[^\x00-\x1f]+$")
    engine: Literal["luthier", "axolotl"] = key("luthier", "train", "Who trains; `axolotl` wants the section `axolotl`.")
    axolotl: AxolotlSection | None = key(None, "none", "The environment of `engine: axolotl`.")
    endpoints: dict[str, EndpointSection] = key({}, "evaluate", "Remote models by name, for `evaluate.against` and `evaluate.judge`.")
    clean: CleanSection | None = key(None, "data", "Cleaning rules.")
    augment: AugmentSection | None = key(None, "data", "Variants of the training rows of a small set.")
    data_formats: tuple[RowFormat, ...] = key((), "data", "What is written of the rows beside JSON Lines.")
    split: SplitSection | None = key(None, "data", "Division into training, validation and test rows.")
    guard: GuardSection = key(GuardSection(), "evaluate", "Rules, protected paths, allowed hosts and policy of the command guard.")
    serve: ServeSection = key(ServeSection(), "none", "How `luthier serve` listens, and what it answers with.")
    evaluate: EvaluateSection = key(EvaluateSection(), "evaluate", "Suites and comparisons.")
    export: Names = key(("adapter",), "export", "What is written at the end: `adapter`, `merged`.")

    def fields_of(self, stage: Stage) -> dict[str, Any]:
        """Name and JSON value of every field that can change the result of `stage`."""
        names = {name for name, info in type(self).model_fields.items() if stage in stages_of(info)}
        return self._fields(names)

    def result_fields(self) -> dict[str, Any]:
        """Name and JSON value of every field that can change any result."""
        names = {name for name, info in type(self).model_fields.items() if stages_of(info) != ("none",)}
        fields = self._fields(names)
        teachers = {name: endpoint.identity for name, endpoint in self.teachers().items()}
        return {**fields, "teachers": teachers} if teachers else fields

    def asked_endpoints(self) -> dict[str, EndpointSection]:
        """The endpoints that the evaluation asks, as candidates or as judge; others may stand in the file without changing anything."""
        against = {entry.removesuffix(PARSER) for entry in self.evaluate.against if isinstance(entry, str)}
        asked = against | {self.evaluate.judge}
        return {name: endpoint for name, endpoint in self.endpoints.items() if name in asked}

    def teachers(self) -> dict[str, EndpointSection]:
        """The endpoints that the data stage asks: teachers and judges of sources, and those that word and judge variants."""
        sections = [source.teacher for source in self.sources if source.teacher is not None]
        named = {name for section in sections for name in (section.endpoint, section.judge)}
        if self.augment is not None and self.augment.teacher is not None:
            named |= {self.augment.teacher, self.augment.judge}
        return {name: endpoint for name, endpoint in self.endpoints.items() if name in named}

    def _fields(self, names: set[str]) -> dict[str, Any]:
        fields = self.model_dump(mode="json", include=names)
        # A gate is held to what was measured, and changes none of it.
        fields.get("evaluate", {}).pop("gate", None)
        # A policy is what is done about verdicts, and changes none of them.
        fields.get("guard", {}).pop("policy", None)
        if "endpoints" in fields:
            kept = {name for name, info in EndpointSection.model_fields.items() if stages_of(info) != ("none",)}
            fields["endpoints"] = {
                name: endpoint.model_dump(mode="json", include=kept) for name, endpoint in self.asked_endpoints().items()
            }
        return fields

    def data_settings(self) -> DataSettings:
        """What the data stage takes."""
        return DataSettings(
            datasets=self.datasets,
            test_datasets=self.test_datasets,
            val_set_size=self.val_set_size,
            sources=self.sources,
            clean=self.clean,
            augment=self.augment,
            split=self.split,
            formats=self.data_formats,
            exact_deduplication=self.dataset_exact_deduplication,
            max_bad_rows=self.max_bad_rows,
            seed=self.seed,
        )
