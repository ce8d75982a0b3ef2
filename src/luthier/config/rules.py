"""Rules between keys: what excludes what, what wants what. Each rule is a small function over the written keys.

Their values are typed ones where the file's types are right, and as written where they are not: both kinds of mistake are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from luthier.config.engine_rules import check_engine
from luthier.config.gate_rules import check_gate
from luthier.config.keys.fields import Section
from luthier.config.names import dotted, table
from luthier.config.row_rules import check_rows
from luthier.config.row_sections import DEFAULT_ROLES, ROLES, DatasetEntry
from luthier.config.schema import FALLBACK_PREFIX, ChatTemplateName
from luthier.config.training_rules import check_training
from luthier.config.yaml_file import Document, KeyPath, items_of
from luthier.core.candidates import OWN_CANDIDATES, PARSER, RESERVED
from luthier.core.errors import Problem
from luthier.core.issued import issued
from luthier.core.nearness import nearest

Values = dict[str, Any]
Rule = Callable[[Document], Iterator[Problem]]

EXPORT_TARGETS = ("adapter", "merged")
LATER_EXPORTS = ("gguf",)
# A folder for each, with its suite file.
SUITES = Path(__file__).parents[1] / "assets" / "suites"
BUILT_IN_SUITES = tuple(sorted(path.parent.name for path in SUITES.glob("*/suite.yaml")))
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
    "roles_to_train": ("chat_template",),
    "train_on_eos": _CHAT_TYPES,
    "train_on_eot": _CHAT_TYPES,
    "message_field_training": _CHAT_TYPES,
    "message_field_training_detail": _CHAT_TYPES,
}
# Values of these keys that say what happens anyway.
_AS_ALWAYS: Mapping[str, tuple[Any, ...]] = {
    "roles_to_train": (["assistant"], ["gpt"]),
    "train_on_eos": (["turn"],),
    "train_on_eot": (["turn"],),
}

# Words of a vocabulary, and the cleaning rule of this name: not credentials.
_NO_CREDENTIALS = re.compile(r"^(?:(?:bos|eos|pad|unk|sep|cls|mask|eot|additional_special|image|audio|tool)_tokens?|secrets)$")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:(?![${%<])[^\s/@]+@", re.IGNORECASE)
# A tracker has variables of its own for what its address may not hold (`tracking_rules`).
_OWN_ADDRESS_RULE = ("mlflow_tracking_uri",)
_SECRET_KEY = re.compile(r"(?:^|_)(?:api_?key|token|secret|password|passwd|credential)s?$", re.IGNORECASE)


def take_secrets(document: Document) -> list[Problem]:
    """Takes literal secrets out of `document` and reports where they stood, never what they were.

    A secret is a text of a shape that its issuer publishes and an address with a password, whatever key it stands under, and any text
    under a key that names one.
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
        elif isinstance(inner, str) and inner:
            hint = None
            if _ADDRESS.match(inner) and part not in _OWN_ADDRESS_RULE:
                hint = "take the password out of the address; git asks its own helper for it (`git config credential.helper`)"
            elif next(issued(inner), None) or _names_a_secret(part):
                hint = (
                    "take it out of the file, change it where it was issued, and name an environment variable (`api_key_env: NAME`) instead"
                )
            if hint is not None:
                problems.append(Problem(f"`{dotted(here)}` holds a secret", where=document.place(here).text(), hint=hint))
                value[part] = None


def _names_a_secret(part: str | int) -> bool:
    return isinstance(part, str) and bool(_SECRET_KEY.search(part)) and not _NO_CREDENTIALS.match(part)


def check_rules(document: Document) -> list[Problem]:
    """The problems that all rules find."""
    return [problem for rule in RULES for problem in rule(document)]


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
            if (not is_mapping and chosen in types) or _says_nothing(name, entry.get(name)):
                continue
            acting = " and ".join(f"`type: {known}`" for known in types)
            hint = "write it inside `type`" if is_mapping and name == "field_system" else "leave it out"
            found = "a mapping" if is_mapping else f"type: {chosen}"
            yield document.problem((*path, name), f"`{name}` acts only with {acting}", hint=hint, found=found)


def _says_nothing(name: str, value: Any) -> bool:
    """Whether a key of an entry is not written, has its default, as the resolved file of every run has it, or says what happens anyway."""
    default = DatasetEntry.model_fields[name].get_default()
    if isinstance(default, Section):
        fields = default.model_dump(mode="json")
        return value is None or (isinstance(value, dict) and all(key in fields and fields[key] == inner for key, inner in value.items()))
    return value in (None, default) or (name in _AS_ALWAYS and list(items_of(value)) in _AS_ALWAYS[name])


def _trained_roles(document: Document) -> Iterator[Problem]:
    for path, entry in _entries(document):
        roles = entry.get("roles_to_train")
        if roles is None:
            continue
        here = (*path, "roles_to_train")
        if document.value.get("train_on_inputs") is True and not _says_nothing("roles_to_train", roles):
            hint = "leave one of the two out; turns that say `train: false` are not trained either way"
            yield document.problem(here, "`train_on_inputs: true` trains every role, so that `roles_to_train` does nothing", hint, roles)
        mapping = entry.get("roles")
        written = {name: role for role, names in mapping.items() for name in items_of(names)} if isinstance(mapping, dict) else {}
        for index, role in enumerate(items_of(roles)):
            if written.get(role, DEFAULT_ROLES.get(role, role) if mapping is None else role) not in ROLES:
                best = nearest(str(role), [*ROLES, *DEFAULT_ROLES])
                hint = f"did you mean `{best}`?" if best else f"known: {', '.join(ROLES)}, and the names in `roles`"
                yield document.problem((*here, index), "no turn has this role", hint, role)


def _template(document: Document) -> Iterator[Problem]:
    for path, holder in [((), document.value), *_entries(document)]:
        chosen, text = holder.get("chat_template"), holder.get("chat_template_jinja")
        if path and isinstance(chosen, str) and chosen.startswith(FALLBACK_PREFIX):
            hint = "write it at the top level, where it holds for every entry that names no template"
            yield document.problem(
                (*path, "chat_template"), f"`chat_template: {chosen}` in one entry is not in this version yet", hint=hint
            )
        elif isinstance(chosen, str):
            name = chosen.removeprefix(FALLBACK_PREFIX)
            if name in table("values")["chat_template"]["later"]:
                yield document.problem(
                    (*path, "chat_template"),
                    f"the chat template `{name}` is not in this version yet",
                    hint="take the base's own with `chat_template: tokenizer_default`, or give its text in `chat_template_jinja`",
                )
            elif name not in CHAT_TEMPLATES:
                best = nearest(name, CHAT_TEMPLATES)
                hint = f"did you mean `{best}`?" if best else f"known: {', '.join(CHAT_TEMPLATES)}"
                yield document.problem((*path, "chat_template"), f"unknown chat template `{chosen}`", hint=hint)
        if chosen == "jinja" and not text:
            yield document.problem((*path, "chat_template"), "`chat_template: jinja` wants `chat_template_jinja`")
        if text and chosen not in (None, "jinja"):
            yield document.problem(
                (*path, "chat_template_jinja"), "`chat_template_jinja` acts only with `chat_template: jinja`", found=chosen
            )


def _exports(document: Document) -> Iterator[Problem]:
    targets = items_of(document.value.get("export"))
    for index, target in enumerate(targets):
        if target == "adapter" and not document.value.get("adapter"):
            what = "there is no adapter to export: the weights of the base are trained"
            yield document.problem(
                ("export", index), what, found=target, hint="write `merged`, or leave `export` out: `model/` is the result"
            )
        if target in targets[:index]:
            yield document.problem(("export", index), f"`{target}` stands twice in `export`", hint="keep one")
        path = ("export", index)
        kind = str(target).split(":", maxsplit=1)[0]
        if kind in LATER_EXPORTS:
            yield document.problem(path, f"the export target `{target}` is not in this version yet", hint="`adapter` and `merged` are")
        elif target not in EXPORT_TARGETS:
            best = nearest(str(target), EXPORT_TARGETS)
            yield document.problem(
                path,
                f"unknown export target `{target}`",
                hint=f"did you mean `{best}`?" if best else f"known: {', '.join(EXPORT_TARGETS)}",
            )


def _suites(document: Document) -> Iterator[Problem]:
    section = document.value.get("evaluate")
    suites = section.get("suites") if isinstance(section, dict) else None
    for index, suite in enumerate(items_of(suites)):
        path = ("evaluate", "suites", index)
        if isinstance(suite, str) and suite not in BUILT_IN_SUITES and not suite.endswith((".yaml", ".yml")):
            best = nearest(suite, BUILT_IN_SUITES)
            hint = f"did you mean `{best}`?" if best else f"a suite is a YAML file or one of {', '.join(BUILT_IN_SUITES)}"
            yield document.problem(path, f"unknown suite `{suite}`", hint=hint)


def _endpoints(document: Document) -> Iterator[Problem]:
    endpoints = document.value.get("endpoints")
    for name in endpoints if isinstance(endpoints, dict) else {}:
        if name in RESERVED or CHECKPOINT.fullmatch(name) or not _ENDPOINT_NAME.fullmatch(name):
            hint = "letters, digits and . _ -, the first a letter or digit; not `base`, `run`, `tuned` or `checkpoint-N`"
            yield document.problem(("endpoints", name), f"an endpoint cannot be called `{name}`", hint=hint)
    section = document.value.get("evaluate")
    judge = section.get("judge") if isinstance(section, dict) else None
    if isinstance(judge, str) and judge not in (endpoints or {}):
        yield document.problem(("evaluate", "judge"), "`evaluate.judge` names no endpoint", _known_endpoints(judge, endpoints), judge)


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
    for index, entry in enumerate(items_of(against)):
        path = ("evaluate", "against", index)
        if entry in items_of(against)[:index]:
            yield document.problem(path, "the entry stands twice in `evaluate.against`", hint="keep one", found=entry)
        elif isinstance(entry, dict):
            if (entry.get("run") is None) == (entry.get("predictions") is None):
                yield document.problem(path, "an entry with keys takes `run: FOLDER` or `predictions: FILE`", hint="write one of the two")
            for name in _mapped_names([entry]):
                if name.endswith(PARSER):
                    hint = f"give it another one with `name`; `NAME{PARSER}` as an entry of its own reads NAME with the parser"
                    yield document.problem(
                        path, f"a name cannot end in `{PARSER}`, which stands for the Markdown parser", hint=hint, found=name
                    )
        elif isinstance(entry, str) and not names_candidate(entry, [*endpoints, *_mapped_names(items_of(against))]):
            known = (*OWN_CANDIDATES, *endpoints)
            best = nearest(entry, known)
            hint = f"did you mean `{best}`?" if best else f"known: {', '.join(known)}, `checkpoint-N`, a run folder (`runs/NAME`)"
            yield document.problem(path, f"unknown entry `{entry}` of `evaluate.against`", hint=hint)


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
    _entry_keys,
    _trained_roles,
    _template,
    _exports,
    _suites,
    _endpoints,
    _against,
    check_gate,
    check_rows,
    check_training,
    check_engine,
)
