"""The typed schema of a run file: Axolotl's names and meanings, Luthier's own sections, and the frozen sections that the rooms take.

Every field names the stages whose result it can change (`data`, `train`, `evaluate`, `export`), or `none`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from luthier.config.fields import MOST, Float, Int, Names, Section, Stage, key, kind_of, one_or_many, stages_of
from luthier.config.row_sections import AugmentSection, CleanSection, DatasetEntry, DataSettings, RowFormat, SourceEntry, SplitSection
from luthier.core.candidates import OWN_CANDIDATES, PARSER

# Data formats, optimizers and schedules of this version. Adding one means a function, a name here, and a test.
OptimizerName = Literal["adamw_torch", "adamw_torch_fused", "adamw_torch_8bit", "adamw_bnb_8bit", "adamw_8bit"]
ScheduleName = Literal["cosine", "linear", "constant"]
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


class RunConfig(Section):
    """A resolved run file."""

    # Base model
    base_model: str = key(..., "train", "A hub id, a folder, or `starter`, the model inside the package.", min_length=1)
    revision_of_model: str | None = key(None, "train", "Commit, branch or tag of a hub base model.")
    tokenizer_config: str | None = key(None, "train", "A hub id or folder with another tokenizer.")
    load_in_4bit: bool = key(False, "train", "Load the base's linear layers as NF4 with double quantisation.")
    attn_implementation: Literal["sdpa", "eager"] | None = key(
        None, "train", "Attention; by rows over packed tokens where it is not given."
    )
    # Adapter
    adapter: Literal["lora", "qlora"] = key(..., "train", "Kind of adapter; `qlora` wants `load_in_4bit: true`.")
    lora_r: Int = key(16, "train", "Rank of the adapter.", ge=1, le=MOST)
    lora_alpha: Int = key(32, "train", "Scale of the adapter: its output is multiplied by alpha / r.", ge=1, le=MOST)
    lora_dropout: Float = key(0.0, "train", "Dropout before the adapter.", ge=0, lt=1)
    lora_target_modules: Names | None = key(None, "train", "Names of the adapted modules, or one pattern.")
    lora_target_linear: bool = key(False, "train", "Adapt every linear layer but the head; so too where no target is named.")
    # Data
    datasets: tuple[DatasetEntry, ...] = key((), "data", "Rows to train on.")
    test_datasets: tuple[DatasetEntry, ...] = key((), "data", "Rows for the evaluation loss.")
    sources: tuple[SourceEntry, ...] = key((), "data", "Repositories, documents, tools and schemas to make rows of.")
    val_set_size: Float = key(0.0, "data", "Share (below 1) or number of rows held out for the evaluation loss.", ge=0)
    dataset_exact_deduplication: bool = key(False, "data", "Drop rows that are equal to an earlier one.")
    curriculum_sampling: bool = key(False, "train", "Train rows in the order of the file; otherwise they are drawn at random.")
    max_bad_rows: Float = key(0.1, "data", "Share (below 1) or number of unreadable rows above which the run stops.", ge=0)
    # Tokens
    chat_template: str | None = key(None, "train", "The wording of conversations: a name, `jinja`, or `tokenizer_default`.")
    chat_template_jinja: str | None = key(None, "train", "The template itself, for `chat_template: jinja`.")
    default_system_message: str | None = key(None, "train", "System text for conversations without one.")
    train_on_inputs: bool = key(False, "train", "Train on the whole row, not on the answers alone.")
    sequence_len: Int = key(512, "train", "Longest row, and size of a packed row, in tokens.", ge=8, le=MOST)
    excess_length_strategy: Literal["drop", "truncate", "raise"] = key("drop", "train", "What is done with rows over `sequence_len`.")
    # Batches
    sample_packing: bool = key(False, "train", "Put several rows into one sequence; they never see each other.")
    eval_sample_packing: bool | None = key(None, "train", "The same for the evaluation rows; as `sample_packing` where it is not given.")
    micro_batch_size: Int = key(1, "train", "Sequences in one forward pass.", ge=1, le=MOST)
    eval_batch_size: Int | None = key(None, "train", "Sequences in one forward pass of the evaluation.", ge=1, le=MOST)
    gradient_accumulation_steps: Int | None = key(
        None, "train", "Micro batches in one optimizer step; 1 where neither it nor `batch_size` is given.", ge=1, le=MOST
    )
    batch_size: Int | None = key(None, "train", "Sequences in one optimizer step: micro batch times accumulation.", ge=1, le=MOST)
    num_epochs: Float = key(1.0, "train", "Passes over the rows.", gt=0)
    max_steps: Int | None = key(
        None, "train", "Optimizer steps after which training ends, where the epochs do not end it before.", ge=1, le=MOST
    )
    seed: Int = key(42, ("data", "train"), "Seed of everything that is drawn.", ge=0, lt=1 << 32)
    # Optimizer
    learning_rate: Float = key(..., "train", "Peak learning rate.", gt=0)
    optimizer: OptimizerName = key("adamw_torch_fused", "train", "The optimizer.")
    adam_beta1: Float = key(0.9, "train", "Decay of the first moment.", ge=0, lt=1)
    adam_beta2: Float = key(0.999, "train", "Decay of the second moment.", ge=0, lt=1)
    adam_epsilon: Float = key(1e-8, "train", "Added to the denominator.", gt=0)
    weight_decay: Float = key(0.0, "train", "Decoupled weight decay.", ge=0)
    max_grad_norm: Float = key(1.0, "train", "Gradients are clipped to this norm; 0 switches clipping off.", ge=0)
    lr_scheduler: ScheduleName = key("cosine", "train", "Course of the learning rate.")
    cosine_min_lr_ratio: Float | None = key(None, "train", "Floor of the cosine as a share of the peak.", ge=0, le=1)
    warmup_ratio: Float | None = key(None, "train", "Share of the steps that warm up.", ge=0, le=1)
    warmup_steps: Int | None = key(None, "train", "Steps that warm up; the smaller of 3 % and 100 where neither is given.", ge=0)
    # Precision and memory
    bf16: bool | Literal["auto"] = key("auto", "train", "Compute in bfloat16; `auto` where the device does it well.")
    tf32: bool | Literal["auto"] = key("auto", "train", "Let CUDA round float32 products to TF32.")
    gradient_checkpointing: bool = key(False, "train", "Recompute activations instead of keeping them.")
    # Watching
    logging_steps: Int | None = key(
        None, "none", "Steps between two log lines; 0.5 % of the steps, at most 10, where it is not given.", ge=1
    )
    eval_strategy: Literal["no", "steps", "epoch"] | None = key(None, "train", "When the evaluation loss is measured.")
    eval_steps: Float | None = key(None, "train", "Steps (or a share below 1) between two evaluations.", gt=0)
    evals_per_epoch: Int | None = key(None, "train", "Evaluations in one epoch.", ge=0)
    save_strategy: Literal["no", "steps", "epoch", "best"] | None = key(None, "none", "When checkpoints are written.")
    save_steps: Float | None = key(None, "none", "Steps (or a share below 1) between two checkpoints.", gt=0)
    saves_per_epoch: Int | None = key(None, "none", "Checkpoints in one epoch.", ge=0)
    save_total_limit: Int = key(4, "none", "Checkpoints kept.", ge=1)
    # Luthier's own
    run_name: str | None = key(
        None, "none", "Name of the run; the file's stem where it is not given.", pattern=r"^[A-Za-z0-9._-]+$", max_length=200
    )
    output_dir: str = key("runs", "none", "Folder that holds the run folders.", min_length=1, pattern=r"^[^\x00-\x1f]+$")
    deterministic: bool = key(False, "train", "Only algorithms that give equal bytes for equal input.")
    engine: Literal["luthier"] = key("luthier", "train", "Who trains.")
    endpoints: dict[str, EndpointSection] = key({}, "evaluate", "Remote models by name, for `evaluate.against` and `evaluate.judge`.")
    clean: CleanSection | None = key(None, "data", "Cleaning rules.")
    augment: AugmentSection | None = key(None, "data", "Variants of the training rows of a small set.")
    data_formats: tuple[RowFormat, ...] = key((), "data", "What is written of the rows beside JSON Lines.")
    split: SplitSection | None = key(None, "data", "Division into training, validation and test rows.")
    guard: GuardSection = key(GuardSection(), "evaluate", "Rules, protected paths, allowed hosts and policy of the command guard.")
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
        """The endpoints that the data stage asks: teachers and judges of sources, and the one that words variants."""
        sections = [source.teacher for source in self.sources if source.teacher is not None]
        named = {name for section in sections for name in (section.endpoint, section.judge)}
        named.add(self.augment.teacher if self.augment is not None else None)
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

    def base_settings(self) -> BaseSettings:
        """Which base model is loaded, and how."""
        return BaseSettings(
            base_model=self.base_model,
            revision=self.revision_of_model,
            tokenizer=self.tokenizer_config,
            load_in_4bit=self.load_in_4bit,
            attention=self.attn_implementation,
        )

    def token_settings(self) -> TokenSettings:
        """How rows become tokens."""
        return TokenSettings(
            chat_template=self.chat_template,
            chat_template_jinja=self.chat_template_jinja,
            default_system_message=self.default_system_message,
            train_on_inputs=self.train_on_inputs,
            sequence_len=self.sequence_len,
            excess_length_strategy=self.excess_length_strategy,
        )

    def lora_settings(self) -> LoraSettings:
        """The adapter; without a target every linear layer but the head."""
        named = self.lora_target_modules or ()
        targets = tuple(target for target in named if target != "all-linear")
        return LoraSettings(
            r=self.lora_r,
            alpha=self.lora_alpha,
            dropout=self.lora_dropout,
            targets=targets,
            all_linear=self.lora_target_linear or not named or "all-linear" in named,
        )

    def optimizer_settings(self) -> OptimizerSettings:
        """Optimizer and clipping."""
        return OptimizerSettings(
            name=self.optimizer,
            learning_rate=self.learning_rate,
            beta1=self.adam_beta1,
            beta2=self.adam_beta2,
            epsilon=self.adam_epsilon,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
        )

    def schedule_settings(self) -> ScheduleSettings:
        """Course of the learning rate."""
        return ScheduleSettings(
            name=self.lr_scheduler,
            warmup_ratio=self.warmup_ratio,
            warmup_steps=self.warmup_steps,
            min_ratio=self.cosine_min_lr_ratio or 0.0,
        )

    def batch_settings(self) -> BatchSettings:
        """Sizes and counts of batches; the three batch keys are resolved to two."""
        micro = self.micro_batch_size
        accumulation = self.gradient_accumulation_steps or (self.batch_size or micro) // micro
        return BatchSettings(
            sequence_len=self.sequence_len,
            micro_batch_size=micro,
            accumulation_steps=accumulation,
            eval_micro_batch_size=self.eval_batch_size or micro,
            packing=self.sample_packing,
            eval_packing=self.sample_packing if self.eval_sample_packing is None else self.eval_sample_packing,
            shuffle=not self.curriculum_sampling,
            epochs=self.num_epochs,
            max_steps=self.max_steps,
            seed=self.seed,
        )

    def precision_settings(self) -> PrecisionSettings:
        """Number formats and recomputation."""
        return PrecisionSettings(
            bf16=self.bf16, tf32=self.tf32, gradient_checkpointing=self.gradient_checkpointing, deterministic=self.deterministic
        )

    def watch_settings(self) -> WatchSettings:
        """When training logs, evaluates and saves."""
        return WatchSettings(
            logging_steps=self.logging_steps,
            eval_strategy=self.eval_strategy,
            eval_steps=self.eval_steps,
            evals_per_epoch=self.evals_per_epoch,
            save_strategy=self.save_strategy,
            save_steps=self.save_steps,
            saves_per_epoch=self.saves_per_epoch,
            save_total_limit=self.save_total_limit,
        )


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """The base model. `attention` None means attention by rows over packed tokens."""

    base_model: str
    revision: str | None
    tokenizer: str | None
    load_in_4bit: bool
    attention: str | None


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Wording, mask and length of rows."""

    chat_template: str | None
    chat_template_jinja: str | None
    default_system_message: str | None
    train_on_inputs: bool
    sequence_len: int
    excess_length_strategy: Literal["drop", "truncate", "raise"]


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The adapter: `all_linear` adapts every linear layer but the head, `targets` the modules named so (one entry may be a pattern)."""

    r: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]
    all_linear: bool


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """The optimizer; `max_grad_norm` 0 means no clipping."""

    name: OptimizerName
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    max_grad_norm: float


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """Course of the learning rate; without `warmup_ratio` and `warmup_steps` the smaller of 3 % and 100 steps."""

    name: ScheduleName
    warmup_ratio: float | None
    warmup_steps: int | None
    min_ratio: float


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Sizes in sequences and tokens. With packing a sequence is a bin of up to `sequence_len` tokens that holds several rows."""

    sequence_len: int
    micro_batch_size: int
    accumulation_steps: int
    eval_micro_batch_size: int
    packing: bool
    eval_packing: bool
    shuffle: bool
    epochs: float
    max_steps: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class PrecisionSettings:
    """Number formats, recomputation and determinism, as asked for; the plan holds what the machine can do."""

    bf16: bool | Literal["auto"]
    tf32: bool | Literal["auto"]
    gradient_checkpointing: bool
    deterministic: bool


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """When training logs, evaluates and saves; None leaves it to the defaults of `train.stage`."""

    logging_steps: int | None
    eval_strategy: str | None
    eval_steps: float | None
    evals_per_epoch: int | None
    save_strategy: str | None
    save_steps: float | None
    saves_per_epoch: int | None
    save_total_limit: int
