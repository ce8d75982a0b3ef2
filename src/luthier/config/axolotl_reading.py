"""How Axolotl 0.19 would read a run file otherwise than Luthier does, told from the tables of keys and from the schema alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from luthier.config.load import read_written
from luthier.config.names import asks_for_nothing, dotted, key_description, schema_paths, table
from luthier.config.overrides import Overrides, set_values
from luthier.config.schema import RunConfig
from luthier.config.yaml_file import Document, KeyPath, other_scalars, parse, read_text

AXOLOTL = "Axolotl 0.19"


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that Axolotl 0.19 reads otherwise.

    `kind`: `meaning` (the same key acts otherwise), `default` (it is not written, and stands for something else there), `luthier only` and
    `other spelling` (Axolotl has no such key and passes over it in silence), `refused here` (it acts there), `unknown` (to both), `scalar`
    (YAML 1.1, which Axolotl's parser speaks, reads another value).
    """

    where: str
    key: str
    found: str
    kind: str
    what: str

    def text(self) -> str:
        """The difference as one line, the place first."""
        written = f"`{self.key}: {self.found}`" if self.found else f"`{self.key}`"
        return f"{self.where}: {written} {self.what}"

    def to_json(self) -> dict[str, str]:
        """The difference as `--json` prints it."""
        return asdict(self)


def differences(path: Path | str, overrides: Overrides = ()) -> list[Difference]:
    """Every difference of the run file `path` with what it extends and `overrides` in it, by file and line.

    The file need not be valid for Luthier. `ConfigError` where it cannot be read.
    """
    path = Path(path)
    path = path / "resolved.yaml" if (path / "resolved.yaml").is_file() else path
    document, files = read_written(path)
    set_values(document, overrides)
    found = [*_extended(path, files), *_scalars(files, document), *_walk(document, document.value, ()), *_unset(document)]
    return sorted(dict.fromkeys(found), key=_by_place)


def text_of(found: Sequence[Difference], name: str) -> str:
    """The list for people."""
    if not found:
        return f"{AXOLOTL} reads {name} as Luthier does"
    return "\n".join([*(item.text() for item in found), f"{len(found)} keys of {name} are read otherwise by {AXOLOTL}"])


def written_differences(document: Document) -> list[Difference]:
    """The written keys of a document in Luthier's names that have another meaning there."""
    return [item for item in _walk(document, document.value, ()) if item.kind == "meaning"]


def _by_place(item: Difference) -> tuple[str, int, str]:
    file, _, line = item.where.rpartition(":")
    return (file, int(line), item.key) if line.isdigit() else (item.where, 0, item.key)


def _extended(path: Path, files: Sequence[Path]) -> Iterator[Difference]:
    if len(files) > 1:
        others = ", ".join(str(file) for file in files if file != path)
        place = parse(read_text(path), str(path)).place(("extends",))
        yield Difference(place.text(), "extends", "", "luthier only", f"is passed over by {AXOLOTL}: it never reads {others}")


def _scalars(files: Sequence[Path], document: Document) -> Iterator[Difference]:
    for file in files:
        for path, place, ours, theirs in other_scalars(read_text(file), str(file)):
            field = RunConfig.model_fields.get(str(path[0]))
            takes_bool = field is not None and "bool" in str(field.annotation)
            # What stands no longer in the joined file, or means the same once it has the key's type.
            if document.places.get(path) != place or (isinstance(theirs, bool) and takes_bool):
                continue
            what = f"is {theirs!r} to {AXOLOTL}, whose parser speaks YAML 1.1, and {ours!r} here: write it in quotes"
            yield Difference(place.text(), dotted(path), _shown(ours), "scalar", what)


def _walk(document: Document, value: Mapping[str, Any], path: KeyPath) -> Iterator[Difference]:
    for name, inner in value.items():
        here = (*path, name)
        generic = dotted(here, generic=True)
        if inner is None:
            continue
        if generic in table("accepted"):
            yield from _accepted(document, inner, here)
            yield from _below(document, inner, here)
        elif generic in schema_paths():
            yield _difference(document, here, inner, "luthier only", f"is passed over by {AXOLOTL}. Here: {key_description(generic)}")
        elif generic in table("renamed"):
            yield from _renamed(document, inner, here)
        elif generic in table("refused"):
            yield from _refused(document, inner, here)
        elif isinstance(inner, dict) and _holds_known(generic):
            yield from _walk(document, inner, here)
        elif not any(generic.startswith(f"{known}.") for known in (*table("refused"), "lr_scheduler_kwargs", "optim_args")):
            what = f"is unknown to Luthier, which refuses it; {AXOLOTL} passes over a key that it does not know"
            yield _difference(document, here, inner, "unknown", what)


def _below(document: Document, value: Any, path: KeyPath) -> Iterator[Difference]:
    if isinstance(value, dict):
        yield from _walk(document, value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield from _walk(document, item, (*path, index))


def _holds_known(generic: str) -> bool:
    return any(key.startswith(f"{generic}.") for name in ("renamed", "refused") for key in table(name))


def _accepted(document: Document, value: Any, path: KeyPath) -> Iterator[Difference]:
    generic = dotted(path, generic=True)
    entry, values = table("accepted")[generic], table("values").get(generic, {})
    written = str(value)
    if written in values.get("same", ()):
        yield _difference(document, path, value, "meaning", f"is left out here: {values['same_note']}")
    elif reason := values.get("refused", {}).get(written):
        yield _difference(document, path, value, "refused here", f"acts in {AXOLOTL}; Luthier refuses it: {reason}")
    elif written in values.get("later", ()):
        yield _difference(document, path, value, "refused here", f"acts in {AXOLOTL}; it is not in this version of Luthier yet")
    if entry["note"] and _differs(entry, value) and _beside(document, path, entry.get("beside", {})):
        yield _difference(document, path, value, "meaning", f"acts otherwise in {AXOLOTL}. Here: {entry['note']}")


def _differs(entry: Mapping[str, Any], value: Any) -> bool:
    if _is_among(value, entry.get("alike", ())):
        return False
    return "values" not in entry or _is_among(value, entry["values"])


def _is_among(value: Any, patterns: Sequence[Any]) -> bool:
    """Whether `value` is one of `patterns`; a `*` in a text stands for anything, and true is not 1."""
    return any(
        (isinstance(pattern, str) and fnmatchcase(str(value), pattern))
        or (value == pattern and isinstance(value, bool) == isinstance(pattern, bool))
        for pattern in patterns
    )


def _beside(document: Document, path: KeyPath, wanted: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the keys next to `path`, or else at the top level, have one of the `wanted` values; false stands for none too."""
    siblings: Any = document.value
    for part in path[:-1]:
        siblings = siblings[part]
    for name, values in wanted.items():
        value = siblings.get(name, document.value.get(name))
        if not (_is_among(value, values) if value is not None else False in values):
            return False
    return True


def _renamed(document: Document, value: Any, path: KeyPath) -> Iterator[Difference]:
    entry = table("renamed")[dotted(path, generic=True)]
    if entry["from"].startswith("axolotl"):
        return
    what = f"is a spelling of {entry['from']}, which {AXOLOTL} passes over: write `{entry['to']}`, which both know"
    yield _difference(document, path, value, "other spelling", what)


def _refused(document: Document, value: Any, path: KeyPath) -> Iterator[Difference]:
    entry = table("refused")[dotted(path, generic=True)]
    if not asks_for_nothing(value) and not _is_among(value, entry.get("harmless", ())):
        what = f"acts in {AXOLOTL} and is refused here: {entry['reason']}"
        yield _difference(document, path, value, "refused here", what)


def _unset(document: Document) -> Iterator[Difference]:
    """The keys that are not written and then stand for something else there."""
    for generic, entry in table("accepted").items():
        wanted = entry.get("unset")
        if not wanted:
            continue
        *parents, name = generic.split(".")
        for holder, path in _holders(document.value, parents):
            here = (*path, name)
            if (
                holder.get(name) is None
                and not _written_elsewhere(document, generic)
                and _beside(document, here, {} if wanted is True else wanted)
            ):
                what = f"is not written: {AXOLOTL} takes {entry['default']}. Here: {entry['note']}"
                yield Difference(document.place(path).text(), dotted(here), "", "default", what)


def _written_elsewhere(document: Document, generic: str) -> bool:
    """Whether another spelling of the key is written, so that it is not unset here."""
    spellings = [old for old, entry in table("renamed").items() if entry["to"] == generic]
    return any(dotted(path, generic=True) in spellings for path in document.places)


def _holders(value: Any, parents: Sequence[str]) -> Iterator[tuple[dict[str, Any], KeyPath]]:
    """The mappings that can hold a key below `parents`; one that does not exist holds nothing."""
    if not parents:
        if isinstance(value, dict):
            yield value, ()
        return
    first, rest = parents[0], parents[1:]
    inner: list[tuple[Any, Any]] = []
    if first == "*":
        inner = list(enumerate(value)) if isinstance(value, list) else []
    elif isinstance(value, dict) and first in value:
        inner = [(first, value[first])]
    for part, item in inner:
        for holder, path in _holders(item, rest):
            yield holder, (part, *path)


def _difference(document: Document, path: KeyPath, value: Any, kind: str, what: str) -> Difference:
    return Difference(document.place(path).text(), dotted(path), _shown(value), kind, what)


def _shown(value: Any) -> str:
    """A single value as YAML writes it; a list or mapping is not shown."""
    if isinstance(value, dict | list):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 and "\n" not in text else f"{text.splitlines()[0][:57]}..."
