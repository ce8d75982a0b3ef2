"""The rule that jobs are held to, as the server that runs was told: kept in the state, where the process of each job reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from luthier.core.files import read_json, write_bytes
from luthier.core.records import JsonObject
from luthier.retrieval.git.reaching import Rule
from luthier.serve.state.root import ServeRoot

_OWNERS_ALONE = 0o600


@dataclass(frozen=True, slots=True)
class JobRule:
    """`folders` and `hosts` that were permitted, `own` repositories of the served run file, which is `served` with `places` of its values.

    `served_folder` is the run folder that is served; empty where a file is, or none.
    """

    folders: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    served: str = "{}"
    places: tuple[tuple[tuple[str | int, ...], str, int], ...] = ()
    served_folder: str = ""

    def write(self, root: ServeRoot) -> None:
        """Keeps it for the jobs that begin from now on; its owner alone can read it."""
        row = {name: getattr(self, name) for name in self.__slots__}
        content = json.dumps(row).encode("utf-8", "surrogatepass")
        # A server starts on a disk that is full.
        if not root.rule.is_file() or root.rule.read_bytes() != content:
            write_bytes(root.rule, content, _OWNERS_ALONE)

    @classmethod
    def read(cls, root: ServeRoot) -> JobRule:
        """What the server wrote; where it wrote nothing, nothing may be read or fetched. `OSError` where it cannot be read."""
        if not Path(root.rule).is_file():
            return cls()
        row: JsonObject = read_json(root.rule)
        places = tuple((tuple(path), str(file), int(line)) for path, file, line in row["places"])
        texts = {name: tuple(map(str, row[name])) for name in ("folders", "hosts", "own")}
        return cls(**texts, served=str(row["served"]), places=places, served_folder=str(row["served_folder"]))

    def environment(self) -> dict[str, str]:
        """What a job's command and all that it starts are told of where they may fetch from."""
        return Rule(self.hosts, self.own).environment()
