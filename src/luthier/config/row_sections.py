"""The sections of a run file that speak of rows: where they come from, how they are cleaned, made more, and divided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from luthier.config.keys.fields import MOST, Float, Int, Names, Section, key, kind_of

# The roles of turns, and Axolotl's own mapping of names to them, which a written `roles` replaces; what is not mapped passes as it is.
ROLES = ("system", "user", "assistant", "tool")
DEFAULT_ROLES: Mapping[str, str] = {"human": "user", "gpt": "assistant"}
# Which of the tokens that end turns are trained: that of every trained turn, of every turn, the last one, or none.
EndRule = Literal["turn", "all", "last", "none"]
DatasetType = Literal["alpaca", "chat_template", "completion", "input_output", "prompt_completion"]


class PromptFormat(Section):
    """A field mapping for rows of any shape, Axolotl's user-defined prompt: `type: {field_instruction: ..., format: ...}`."""

    system_prompt: str | None = key(None, "data", "System text put before every row.")
    system_format: str | None = key(None, "data", "How the system text is written; `{system}` stands for it.")
    field_system: str | None = key(None, "data", "Column that holds a row's own system text.")
    field_instruction: str = key("instruction", "data", "Column that holds the request.")
    field_input: str | None = key(None, "data", "Column that holds further input.")
    field_output: str = key("output", "data", "Column that holds the answer.")
    format: str | None = key(None, "data", "Wording of a row with input; `{instruction}` and `{input}` stand for the columns.")
    no_input_format: str | None = key(None, "data", "Wording of a row without input; `{instruction}` stands for the column.")


class MessageFields(Section):
    """Which field of a message holds what, for conversations that do not call them `role` and `content`."""

    role: str = key("role", "data", "Field with the speaker.")
    content: str = key("content", "data", "Field with the text.")


class DatasetEntry(Section):
    """One entry of `datasets` or `test_datasets`."""

    path: str = key(..., "data", "A file, a folder or a hub id.")
    type: Annotated[Annotated[DatasetType, Tag("name")] | Annotated[PromptFormat, Tag("mapping")], Discriminator(kind_of)] = key(
        "chat_template", "data", "The format of the rows, or a mapping of fields."
    )
    ds_type: Literal["json", "csv", "parquet"] | None = key(None, "data", "The file format, where the name's ending does not tell.")
    data_files: Names | None = key(None, "data", "Files to read from a folder or a hub data set.")
    name: str | None = key(None, "data", "Configuration of a hub data set.")
    split: str | None = key(None, "data", "Split of a hub data set; `train` where it is not given.")
    revision: str | None = key(None, "data", "Commit, branch or tag of a hub data set.")
    field: str | None = key(None, "data", "Column that holds the text of a `completion` row; `text` where it is not given.")
    field_messages: str = key("messages", "data", "Column that holds the conversation.")
    field_system: str | None = key(None, "data", "Column that holds a conversation's system text.")
    field_tools: str = key("tools", "data", "Column that holds the tool definitions.")
    message_property_mappings: MessageFields = key(MessageFields(), "data", "Names of the fields of a message.")
    roles: dict[str, Names] | None = key(None, "data", "Names of roles in the rows: `{assistant: [gpt, model]}`.")
    roles_to_train: Names | None = key(None, "data", "Roles whose turns are trained; `assistant` where it is not given.")
    train_on_eos: EndRule | None = key(None, "data", "Which end-of-text tokens are trained; `turn` where it is not given.")
    train_on_eot: EndRule | None = key(None, "data", "Which end-of-turn tokens are trained; as `train_on_eos` where it is not given.")
    message_field_training: str | None = key(
        None, "data", "Field of a message that says whether it is trained; `train` where it is not given.", min_length=1
    )
    message_field_training_detail: str | None = key(
        None, "data", "Field of a message that says which stretches of its text are trained.", min_length=1
    )
    chat_template: str | None = key(None, "data", "The chat template of these rows, where it differs from the run's.")
    chat_template_jinja: str | None = key(None, "data", "The chat template itself, for `chat_template: jinja`.")
    license: str | None = key(None, "data", "SPDX expression of the license of the rows, where the hub does not tell it.", min_length=1)


# Makers of rows, in the order in which a source's rows are made.
MakerName = Literal[
    "explain", "complete", "document", "question", "commits", "infill", "section", "locate", "usage", "tests", "commands", "tools"
]
# What a source can be, and of which each maker makes rows.
SOURCE_KINDS = ("repo", "docs", "tools", "schemas")
MAKER_SOURCES: Mapping[str, tuple[str, ...]] = {
    "explain": ("repo",),
    "complete": ("repo",),
    "document": ("repo",),
    "question": ("repo",),
    "commits": ("repo",),
    "infill": ("repo",),
    "section": ("repo", "docs", "tools"),
    "locate": ("repo",),
    "usage": ("repo",),
    "tests": ("repo",),
    "commands": ("tools",),
    "tools": ("repo", "schemas"),
}
TeacherTask = Literal["questions", "answers", "paraphrases", "harder"]
AugmentRule = Literal["synonyms", "argument_names", "flag_order"]
RowFormat = Literal["datasets", "parquet", "sample"]


def _in_small_letters(written: object) -> object:
    """Names as the tables have them: `ReScript` is `rescript`."""
    return [one.lower() if isinstance(one, str) else one for one in written] if isinstance(written, (list, tuple)) else written


class TeacherSection(Section):
    """Rows that a remote model makes from the chunks of a source, each judged before it is kept."""

    endpoint: str = key(..., "data", "Name of the endpoint that writes.", min_length=1)
    judge: str | None = key(None, "data", "Name of the endpoint that judges; the writing one where it is not given.")
    make: tuple[TeacherTask, ...] = key(("questions", "answers"), "data", "What it writes.")
    rows: Int = key(200, "data", "Most rows that it makes.", ge=1, le=MOST)
    threshold: Float = key(0.7, "data", "Least mark, from 0 to 1, that the judge gives a row that is kept.", ge=0, le=1)
    temperature: Float = key(0.7, "data", "Temperature of what is written; judging is always at 0.", ge=0, le=2)
    context: bool = key(False, "data", "Show pieces that a search would find before each request, the right one in four rows of five.")
    max_tokens: Int = key(1024, "data", "Longest reply in tokens.", ge=16, le=MOST)
    max_cost: Float | None = key(None, "data", "Cost, by the endpoint's `price`, at which no further request is sent.", gt=0)
    max_unusable: Int = key(
        20, "data", "Replies in a row, to one task, of which nothing can be read, and with which the run stops.", ge=1, le=MOST
    )


class ContextSection(Section):
    """Pieces of the source, as a search finds them, in front of the requests of rows that ask about it, as the server shows them.

    After RAFT (Zhang et al. 2024): the piece that the answer stands on among others, and in some rows others alone.
    """

    pieces: Int = key(5, "data", "Pieces in front of a request, the right one among them.", ge=2, le=20)
    with_answer: Float = key(0.8, "data", "Share of the rows that show the piece which the answer stands on.", ge=0, le=1)
    characters: Int = key(800, "data", "Longest piece; of a longer one the first lines are shown.", ge=100, le=100_000)


# The section, or true for its defaults.
ContextChoice = Annotated[
    Annotated[ContextSection, Tag("mapping")] | Annotated[Literal[False], Tag("name")],
    Discriminator(kind_of),
    BeforeValidator(lambda value: {} if value is True else value),
]


class SourceEntry(Section):
    """One entry of `sources`: a repository, documents, tools of this machine, or schemas, and the rows to make of them."""

    repo: str | None = key(None, "data", "A git repository: a folder, or a URL of `https`, `ssh` or `git`.", min_length=1)
    docs: Names | None = key(None, "data", "Files or folders of documents: Markdown, reStructuredText, HTML, text, PDF, DOCX, notebooks.")
    tools: Names | None = key(None, "data", "Programs of this machine, by name, whose man pages, `--help` and tldr pages are read.")
    schemas: Names | None = key(None, "data", "OpenAPI files, or JSON schemas of tools.")
    commit: str = key("HEAD", "data", "Commit, branch or tag of the repository.", min_length=1)
    name: str | None = key(None, "data", "How rows speak of the source; the last part of its path where it is not given.", min_length=1)
    license: str | None = key(None, "data", "SPDX expression of the license, where the source does not tell.", min_length=1)
    make: tuple[MakerName, ...] | None = key(None, "data", "Makers of rows; those that suit the source where it is not given.")
    include: Names = key((), "data", "Only paths that match one of these patterns (`src/**/*.py`).")
    exclude: Names = key((), "data", "No path that matches one of these patterns.")
    languages: Annotated[Names, BeforeValidator(_in_small_letters)] = key((), "data", "Only files of these languages, in any capitals.")
    max_rows: Int | None = key(None, "data", "Most rows of the source, evenly over its makers; a teacher's come on top.", ge=1, le=MOST)
    max_rows_per_file: Int = key(60, "data", "Most rows of one file.", ge=1, le=MOST)
    max_files: Int = key(50_000, "data", "Files above which the source is refused.", ge=1, le=MOST)
    max_file_bytes: Int = key(1_000_000, "data", "Files above this size are left out.", ge=1, le=MOST)
    max_bytes: Int = key(2_000_000_000, "data", "Size above which a repository is refused.", ge=1)
    max_commits: Int = key(2_000, "data", "Newest commits that are read.", ge=0, le=MOST)
    timeout_seconds: Float = key(600.0, "data", "Longest time for fetching and reading the source.", gt=0, le=86_400)
    allow_protocols: tuple[Literal["file", "http", "ext"], ...] = key((), "data", "Protocols that git may use beside https, ssh and git.")
    help: tuple[Literal["man", "help", "tldr"], ...] = key(
        ("man", "tldr"), "data", "What is read of `tools`; `help` runs them with `--help`."
    )
    tldr: str | None = key(None, "data", "Folder of tldr pages; where the usual clients keep them, if it is not given.")
    context: ContextChoice | None = key(
        None, "data", "Pieces that a search finds in front of questions about the source, so that the tuned model is asked with them."
    )
    teacher: TeacherSection | None = key(None, "data", "A remote model that makes further rows.")


class AugmentSection(Section):
    """Further rows made of the training rows of a small set; never one that is a near-duplicate of a held-out row."""

    rules: tuple[AugmentRule, ...] = key(("synonyms", "argument_names", "flag_order"), "data", "Rules that vary a row.")
    copies: Int = key(1, "data", "Most variants of one row by rule, and by a teacher.", ge=1, le=20)
    below_rows: Int = key(5_000, "data", "Training rows from which on nothing is added.", ge=1, le=MOST)
    teacher: str | None = key(None, "data", "Endpoint that writes paraphrases of the requests.", min_length=1)
    judge: str | None = key(None, "data", "Name of the endpoint that judges paraphrases; the writing one where it is not given.")
    threshold: Float = key(0.7, "data", "Least mark, from 0 to 1, that the judge gives a paraphrase that is kept.", ge=0, le=1)
    max_cost: Float | None = key(None, "data", "Cost, by the endpoint's `price`, at which no further request is sent.", gt=0)
    max_unusable: Int = key(
        20, "data", "Replies in a row, to one task, of which nothing can be read, and with which the run stops.", ge=1, le=MOST
    )


class SplitSection(Section):
    """How rows are divided: shares of the rows, by groups that stay whole.

    Rows whose requests are equal or nearly equal, whose answers are equal, or that come from one file of code are one group.
    """

    validation: Float = key(0.0, "data", "Share of the rows held out for the evaluation loss.", ge=0, lt=1)
    test: Float = key(0.0, "data", "Share of the rows held out for the suites.", ge=0, lt=1)
    seed: Int = key(42, "data", "Seed of the draw.", ge=0)
    keep: str | None = key(None, "data", "Run folder whose rows keep their side; moves that new groups force are listed.", min_length=1)


class ShellSection(Section):
    """What is done about rows whose answer is a command.

    `clean` without `shell` means the defaults with the tools that the machine has; the section, or `shell: true`, wants them all there.
    """

    rows: Literal["auto", "all"] = key("auto", "data", "Which rows: those whose answer can be told to be shell, or all.")
    parse: bool = key(True, "data", "Reject commands that bash cannot parse.")
    shellcheck: bool = key(True, "data", "Reject commands with a finding of shellcheck at level error.")
    risk: Literal["reject", "keep"] = key(
        "reject", "data", "What is done about commands that the guard's policy rejects; those it calls `unknown` stay and are counted."
    )


def _true_as_section(value: Any) -> Any:
    return {} if value is True else value


# The section, or false.
ShellChoice = Annotated[
    Annotated[ShellSection, Tag("mapping")] | Annotated[Literal[False], Tag("name")],
    Discriminator(kind_of),
    BeforeValidator(_true_as_section),
]


class CleanSection(Section):
    """Cleaning rules. Each rejected row is written out with the rule's reason code; `off` switches rules off by that code."""

    exact_duplicates: Literal["remove", "keep"] = key("remove", "data", "What is done with rows that are equal.")
    near_duplicates: Annotated[Float, Field(gt=0, le=1)] | Literal[False] | None = key(
        None,
        "data",
        "Word 3-gram Jaccard from which on the later of two rows is dropped; not given: 0.7 among rows of `sources`, and those "
        "of `datasets` are counted and stay.",
    )
    secrets: Literal["redact", "reject", "keep"] = key("redact", "data", "What is done with secrets; in rows of `sources` never kept.")
    scanners: Literal["fast", "thorough", "strict"] = key("fast", "data", "How thoroughly secrets are looked for.")
    urls: Literal["keep", "mask", "reject"] = key("keep", "data", "What is done with URLs; those with credentials are secrets.")
    personal_data: Literal["keep", "mask", "reject"] = key("mask", "data", "What is done with addresses, numbers and names of accounts.")
    shell: ShellChoice | None = key(
        None,
        "data",
        "What is done about rows whose answer is a command; not given: they are parsed, linted where shellcheck is there, and rated, also "
        "rows of `sources` without `clean`. False looks at none.",
    )
    natural_languages: Names = key((), "data", "Only rows whose request is in one of these languages (ISO 639-1).")
    min_answer_characters: Int = key(1, "data", "Shortest answer.", ge=0, le=MOST)
    max_row_characters: Int = key(200_000, "data", "Longest row.", ge=1, le=MOST)
    licenses: Names = key((), "data", "SPDX names of licenses that a row's source may have; any where none is given.")
    decontaminate: Names = key((), "data", "Files whose rows no training row may repeat, beside the rows of the suites.")
    off: Names = key((), "data", "Reason codes of rules that are switched off.")


def allowed_bad_rows(limit: float, rows: int) -> int:
    """How many of `rows` may be bad under `max_bad_rows: limit`, a share below 1 and a number otherwise."""
    return int(limit * rows) if limit < 1 else int(limit)


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Sources of rows and their division. `val_set_size` and `max_bad_rows` below 1 are shares, otherwise numbers of rows."""

    datasets: tuple[DatasetEntry, ...]
    test_datasets: tuple[DatasetEntry, ...]
    sources: tuple[SourceEntry, ...]
    clean: CleanSection | None
    augment: AugmentSection | None
    val_set_size: float
    split: SplitSection | None
    formats: tuple[RowFormat, ...]
    exact_deduplication: bool
    max_bad_rows: float
    seed: int

    @property
    def unseen_commands(self) -> str | None:
        """Why commands are not looked at, in some rows or all; None where they are in every row."""
        if self.clean is not None:
            return "turned off by clean.shell" if self.clean.shell is False else None
        if not (self.datasets or self.test_datasets):
            return None
        return "rows of `datasets` are taken as they are, for the run file has no `clean`"

    @property
    def sees_commands(self) -> bool:
        """Whether commands are looked at in any row."""
        return self.clean.shell is not False if self.clean is not None else bool(self.sources)

    @property
    def remove_duplicates(self) -> bool:
        """Whether rows that equal an earlier one are dropped: where the file asks, and under `clean` and `split` unless it says `keep`."""
        if self.clean is not None and not self.exact_deduplication:
            return self.clean.exact_duplicates == "remove"
        return self.exact_deduplication or self.split is not None
