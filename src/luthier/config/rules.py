"""Rules between keys: what excludes what, what wants what. Each rule is a small function over the written keys.

Their values are typed ones where the file's types are right, and as written where they are not: both kinds of mistake are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from luthier.config.fields import Section
from luthier.config.gate_rules import check_gate
from luthier.config.names import dotted, nearest, table
from luthier.config.row_rules import check_rows
from luthier.config.row_sections import DatasetEntry
from luthier.config.schema import FALLBACK_PREFIX, ChatTemplateName
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.candidates import OWN_CANDIDATES, PARSER, RESERVED
from luthier.core.errors import Problem
from luthier.core.issued import issued

Values = dict[str, Any]
Rule = Callable[[Document], Iterator[Problem]]

EXPORT_TARGETS = ("adapter", "merged")
LATER_EXPORTS = ("gguf",)
# A folder for each, with its suite file.
SUITES = Path(__file__).parents[1] / "assets" / "suites"
BUILT_IN_SUITES = tuple(sorted(path.parent.name for path in SUITES.glob("*/suite.yaml")))
LATER_SECTIONS = ("serve",)
CHECKPOINT = re.compile(r"checkpoint-[0-9]+")
CHAT_TEMPLATES: tuple[str, ...] = get_args(ChatTemplateName)

_ENDPOINT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CHAT_TYPES = ("chat_template", "prompt_completion")
# Keys of a data-set entry, and the formats under which they act.
_ACTS_WITH_TYPE: Mapping[str, tuple[str, ...]] = {
    "field": ("completion",),
    "field_messages": ("chat_template",),
    "field_system": ("chat_template",),
    "field_tools": _CHAT_TYPES,
    "message_property_mappings": _CHAT_TYPES,
    "roles": _CHAT_TYPES,
    "chat_template": _CHAT_TYPES,
    "chat_template_jinja": _CHAT_TYPES,
}

# Words of a vocabulary, and the cleaning rule of this name: not credentials.
_NO_CREDENTIALS = re.compile(r"^(?:(?:bos|eos|pad|unk|sep|cls|mask|eot|additional_special|image|audio|tool)_tokens?|secrets)$")
_SECRET_KEY = re.compile(r"(?:^|_)(?:api_?key|token|secret|password|passwd|credential)s?$", re.IGNORECASE)


def take_later(document: Document) -> list[Problem]:
    """Takes sections and keys of later versions out of `document` and reports those that ask for something."""
    problems = []
    for name in LATER_SECTIONS:
        if document.value.get(name):
            problems.append(_problem(document, (name,), f"the section `{name}` is not in this version yet", hint="take it out of the file"))
        document.value.pop(name, None)
    if document.value.get("engine") == "axolotl":
        problems.append(_problem(document, ("engine",), "`engine: axolotl` is not in this version yet", hint="leave `engine` out"))
        document.value.pop("engine")
    return problems


def take_secrets(document: Document) -> list[Problem]:
    """Takes literal secrets out of `document` and reports where they stood, never what they were.

    A secret is a text of a shape that its issuer publishes, whatever key it stands under, and any text under a key that names one.
    """
    problems: list[Problem] = []
    _scan(document, document.value, (), problems)
    return problems


def _scan(document: Document, value: Any, path: KeyPath, problems: list[Problem]) -> None:
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for part, inner in items:
        here = (*path, part)
        if isinstance(inner, dict | list):
            _scan(document, inner, here, problems)
        elif isinstance(inner, str) and (next(issued(inner), None) or (inner and _names_a_secret(part))):
            problems.append(
                Problem(
                    f"`{dotted(here)}` holds a secret",
                    where=document.place(here).text(),
                    hint="take it out of the file, change it where it was issued, "
                    "and name an environment variable (`api_key_env: NAME`) instead",
                )
            )
            value[part] = None


def _names_a_secret(part: str | int) -> bool:
    return isinstance(part, str) and bool(_SECRET_KEY.search(part)) and not _NO_CREDENTIALS.match(part)


def check_rules(document: Document) -> list[Problem]:
    """The problems that all rules find."""
    return [problem for rule in RULES for problem in rule(document)]


def _problem(document: Document, path: KeyPath, what: str, hint: str = "", found: Any = None) -> Problem:
    return Problem(what, where=document.place(path).text(), found="" if found is None else str(found), hint=hint)


def _exclude_each_other(document: Document) -> Iterator[Problem]:
    pairs = [
        ("eval_steps", "evals_per_epoch"),
        ("save_steps", "saves_per_epoch"),
        ("warmup_steps", "warmup_ratio"),
        ("batch_size", "gradient_accumulation_steps"),
        ("val_set_size", "test_datasets"),
        ("val_set_size", "split"),
    ]
    for first, second in pairs:
        if document.value.get(first) and document.value.get(second):
            yield _problem(
                document,
                (second,),
                f"`{first}` and `{second}` exclude each other",
                hint=f"`{first}` stands in {document.place((first,)).text()}; keep one of the two",
            )


def _strategies(document: Document) -> Iterator[Problem]:
    for word in ("eval", "save"):
        strategy, steps = document.value.get(f"{word}_strategy"), document.value.get(f"{word}_steps")
        for name in (f"{word}_steps", f"{word}s_per_epoch"):
            if document.value.get(name) and strategy not in (None, "steps"):
                yield _problem(document, (name,), f"`{name}` acts only with `{word}_strategy: steps`", found=strategy)
        if isinstance(steps, float) and steps > 1 and not steps.is_integer():
            yield _problem(document, (f"{word}_steps",), f"`{word}_steps` is a share below 1 or a whole number of steps", found=steps)
        if strategy == "steps" and not steps and not document.value.get(f"{word}s_per_epoch"):
            yield _problem(
                document, (f"{word}_strategy",), f"`{word}_strategy: steps` wants `{word}_steps`", hint=f"write `{word}_steps: 100`"
            )


def _held_out(document: Document) -> Iterator[Problem]:
    split = document.value.get("split")
    shares = split if isinstance(split, dict) else {}
    held_out = document.value.get("val_set_size") or document.value.get("test_datasets") or shares.get("validation")
    for name in ("eval_steps", "evals_per_epoch"):
        if document.value.get(name) and not held_out:
            yield _problem(
                document,
                (name,),
                f"`{name}` is written, but no rows are held out",
                hint="write `val_set_size: 0.05` or `split: {validation: 0.05}`",
            )
    if document.value.get("eval_strategy") in ("steps", "epoch") and not held_out:
        yield _problem(
            document, ("eval_strategy",), "`eval_strategy` is written, but no rows are held out", hint="write `val_set_size: 0.05`"
        )
    if document.value.get("save_strategy") == "best" and not held_out:
        yield _problem(document, ("save_strategy",), "`save_strategy: best` wants held-out rows", hint="write `val_set_size: 0.05`")
    numbers = [share for share in (shares.get("validation", 0), shares.get("test", 0)) if isinstance(share, int | float)]
    if sum(numbers) >= 1:
        yield _problem(
            document, ("split",), "`split` leaves no rows to train on", found=f"shares sum to {sum(numbers):g}", hint="keep the sum below 1"
        )
    if shares.get("validation") and document.value.get("test_datasets"):
        yield _problem(
            document, ("split", "validation"), "`split.validation` and `test_datasets` exclude each other", hint="keep one of the two"
        )


def _batches(document: Document) -> Iterator[Problem]:
    total, micro = document.value.get("batch_size"), document.value.get("micro_batch_size")
    if total is not None and micro is None:
        yield _problem(
            document, ("batch_size",), "`batch_size` wants `micro_batch_size` beside it", hint="write sequences of a forward pass"
        )
    elif isinstance(total, int) and isinstance(micro, int) and micro > 0 and total % micro:
        yield _problem(
            document,
            ("batch_size",),
            "`batch_size` is no multiple of `micro_batch_size`",
            found=f"{total} and {micro}",
            hint="choose a multiple",
        )


def _adapter(document: Document) -> Iterator[Problem]:
    adapter = document.value.get("adapter")
    if adapter == "qlora" and document.value.get("load_in_4bit") is not True:
        yield _problem(document, ("adapter",), "`adapter: qlora` wants `load_in_4bit: true`", hint="write it, or use `adapter: lora`")
    if not adapter:
        yield Problem(
            "`adapter` is missing; training all weights is not in this version yet",
            where=document.place(()).file,
            hint="write `adapter: lora`",
        )
    for index, pattern in enumerate(_items(document.value.get("lora_target_modules"))):
        try:
            re.compile(str(pattern))
        except re.error as error:
            yield _problem(document, ("lora_target_modules", index), "this is no valid pattern", found=pattern, hint=str(error))


def _schedule(document: Document) -> Iterator[Problem]:
    if document.value.get("cosine_min_lr_ratio") and document.value.get("lr_scheduler", "cosine") != "cosine":
        yield _problem(
            document,
            ("cosine_min_lr_ratio",),
            "`cosine_min_lr_ratio` acts only with `lr_scheduler: cosine`",
            found=document.value["lr_scheduler"],
        )


def _entries(document: Document) -> list[tuple[KeyPath, Values]]:
    """The data-set entries that are mappings, each with its path."""
    found: list[tuple[KeyPath, Values]] = []
    for name in ("datasets", "test_datasets"):
        entries = document.value.get(name)
        if isinstance(entries, list):
            found += [((name, index), entry) for index, entry in enumerate(entries) if isinstance(entry, dict)]
    return found


def _entry_keys(document: Document) -> Iterator[Problem]:
    for path, entry in _entries(document):
        chosen = entry.get("type") or "chat_template"
        is_mapping = isinstance(chosen, dict)
        for name, types in _ACTS_WITH_TYPE.items():
            if _asks_nothing(name, entry.get(name)) or (not is_mapping and chosen in types):
                continue
            acting = " and ".join(f"`type: {known}`" for known in types)
            hint = "write it inside `type`" if is_mapping and name == "field_system" else "leave it out"
            found = "a mapping" if is_mapping else f"type: {chosen}"
            yield _problem(document, (*path, name), f"`{name}` acts only with {acting}", hint=hint, found=found)


def _asks_nothing(name: str, value: Any) -> bool:
    """Whether a key of an entry is not written, or written with its default, as the resolved file of every run has it."""
    default = DatasetEntry.model_fields[name].get_default()
    if isinstance(default, Section):
        fields = default.model_dump(mode="json")
        return value is None or (isinstance(value, dict) and all(key in fields and fields[key] == inner for key, inner in value.items()))
    return value in (None, default)


def _template(document: Document) -> Iterator[Problem]:
    for path, holder in [((), document.value), *_entries(document)]:
        chosen, text = holder.get("chat_template"), holder.get("chat_template_jinja")
        if path and isinstance(chosen, str) and chosen.startswith(FALLBACK_PREFIX):
            hint = "write it at the top level, where it holds for every entry that names no template"
            yield _problem(
                document, (*path, "chat_template"), f"`chat_template: {chosen}` in one entry is not in this version yet", hint=hint
            )
        elif isinstance(chosen, str):
            name = chosen.removeprefix(FALLBACK_PREFIX)
            if name in table("values")["chat_template"]["later"]:
                yield _problem(
                    document,
                    (*path, "chat_template"),
                    f"the chat template `{name}` is not in this version yet",
                    hint="take the base's own with `chat_template: tokenizer_default`, or give its text in `chat_template_jinja`",
                )
            elif name not in CHAT_TEMPLATES:
                best = nearest(name, CHAT_TEMPLATES)
                hint = f"did you mean `{best}`?" if best else f"known: {', '.join(CHAT_TEMPLATES)}"
                yield _problem(document, (*path, "chat_template"), f"unknown chat template `{chosen}`", hint=hint)
        if chosen == "jinja" and not text:
            yield _problem(document, (*path, "chat_template"), "`chat_template: jinja` wants `chat_template_jinja`")
        if text and chosen not in (None, "jinja"):
            yield _problem(
                document, (*path, "chat_template_jinja"), "`chat_template_jinja` acts only with `chat_template: jinja`", found=chosen
            )


def _items(value: Any) -> list[Any]:
    """The items of a list, or one text as a list; a value of another kind has none, and its type is told by the schema."""
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _exports(document: Document) -> Iterator[Problem]:
    targets = _items(document.value.get("export"))
    for index, target in enumerate(targets):
        if target in targets[:index]:
            yield _problem(document, ("export", index), f"`{target}` stands twice in `export`", hint="keep one")
        path = ("export", index)
        kind = str(target).split(":", maxsplit=1)[0]
        if kind in LATER_EXPORTS:
            yield _problem(document, path, f"the export target `{target}` is not in this version yet", hint="`adapter` and `merged` are")
        elif target not in EXPORT_TARGETS:
            best = nearest(str(target), EXPORT_TARGETS)
            yield _problem(
                document,
                path,
                f"unknown export target `{target}`",
                hint=f"did you mean `{best}`?" if best else f"known: {', '.join(EXPORT_TARGETS)}",
            )


def _suites(document: Document) -> Iterator[Problem]:
    section = document.value.get("evaluate")
    suites = section.get("suites") if isinstance(section, dict) else None
    for index, suite in enumerate(_items(suites)):
        path = ("evaluate", "suites", index)
        if isinstance(suite, str) and suite not in BUILT_IN_SUITES and not suite.endswith((".yaml", ".yml")):
            best = nearest(suite, BUILT_IN_SUITES)
            hint = f"did you mean `{best}`?" if best else f"a suite is a YAML file or one of {', '.join(BUILT_IN_SUITES)}"
            yield _problem(document, path, f"unknown suite `{suite}`", hint=hint)


def _endpoints(document: Document) -> Iterator[Problem]:
    endpoints = document.value.get("endpoints")
    for name in endpoints if isinstance(endpoints, dict) else {}:
        if name in RESERVED or CHECKPOINT.fullmatch(name) or not _ENDPOINT_NAME.fullmatch(name):
            hint = "letters, digits and . _ -, the first a letter or digit; not `base`, `run`, `tuned` or `checkpoint-N`"
            yield _problem(document, ("endpoints", name), f"an endpoint cannot be called `{name}`", hint=hint)
    section = document.value.get("evaluate")
    judge = section.get("judge") if isinstance(section, dict) else None
    if isinstance(judge, str) and judge not in (endpoints or {}):
        yield _problem(document, ("evaluate", "judge"), "`evaluate.judge` names no endpoint", _known_endpoints(judge, endpoints), judge)


def _known_endpoints(name: str, endpoints: Any) -> str:
    known = list(endpoints) if isinstance(endpoints, dict) else []
    best = nearest(name, known)
    if best:
        return f"did you mean `{best}`?"
    return f"known: {', '.join(known)}" if known else "write `endpoints: {NAME: {base_url: ..., model: ...}}`"


def _against(document: Document) -> Iterator[Problem]:
    section = document.value.get("evaluate")
    against = section.get("against") if isinstance(section, dict) else None
    endpoints = document.value.get("endpoints") or {}
    for index, entry in enumerate(_items(against)):
        path = ("evaluate", "against", index)
        if entry in _items(against)[:index]:
            yield _problem(document, path, "the entry stands twice in `evaluate.against`", hint="keep one", found=entry)
        elif isinstance(entry, dict):
            if (entry.get("run") is None) == (entry.get("predictions") is None):
                yield _problem(document, path, "an entry with keys takes `run: FOLDER` or `predictions: FILE`", hint="write one of the two")
            for name in _mapped_names([entry]):
                if name.endswith(PARSER):
                    hint = f"give it another one with `name`; `NAME{PARSER}` as an entry of its own reads NAME with the parser"
                    yield _problem(
                        document, path, f"a name cannot end in `{PARSER}`, which stands for the Markdown parser", hint=hint, found=name
                    )
        elif isinstance(entry, str) and not names_candidate(entry, [*endpoints, *_mapped_names(_items(against))]):
            known = (*OWN_CANDIDATES, *endpoints)
            best = nearest(entry, known)
            hint = f"did you mean `{best}`?" if best else f"known: {', '.join(known)}, `checkpoint-N`, a run folder (`runs/NAME`)"
            yield _problem(document, path, f"unknown entry `{entry}` of `evaluate.against`", hint=hint)


def _mapped_names(entries: list[Any]) -> Iterator[str]:
    """The names of entries with keys, which others may read with `+parser`."""
    for entry in entries:
        if isinstance(entry, dict) and isinstance(path := entry.get("run") or entry.get("predictions"), str):
            yield str(entry.get("name") or (Path(path).stem if entry.get("predictions") else Path(path).name))


def names_candidate(entry: str, endpoints: Iterable[str]) -> bool:
    """Whether a text in `evaluate.against` can name something: itself, an endpoint, a checkpoint, or a path of a run folder."""
    name = entry.removesuffix(PARSER)
    return entry in OWN_CANDIDATES or name in endpoints or bool(CHECKPOINT.fullmatch(name)) or "/" in entry


RULES: tuple[Rule, ...] = (
    _exclude_each_other,
    _strategies,
    _held_out,
    _batches,
    _adapter,
    _schedule,
    _entry_keys,
    _template,
    _exports,
    _suites,
    _endpoints,
    _against,
    check_gate,
    check_rows,
)
