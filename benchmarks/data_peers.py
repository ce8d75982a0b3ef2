"""Near-duplicate removal as datasketch and datatrove do it: `data_peers.py PEER ROWS FOLDER FOUND`, run by the peers' own Python.

Writes for each row the label of its cluster to FOUND and prints seconds and processor seconds, without imports. Normal form and word
3-grams are Luthier's.
"""

from __future__ import annotations

import json
import re
import struct
import sys
import time
from pathlib import Path

import numpy as np

PERMUTATIONS = 128
THRESHOLD = 0.7


def texts_of(file: Path) -> list[str]:
    """Request and answer of each row, in normal form."""
    with file.open(encoding="utf-8") as stream:
        rows = map(json.loads, stream)
        return [re.sub(r"\W+", " ", f"{row['instruction']}\n{row['output']}".lower()).strip() for row in rows]


def grams_of(text: str) -> list[bytes]:
    """Word 3-grams as bytes."""
    words = text.split(" ")
    return [" ".join(words[at : at + 3]).encode() for at in range(max(1, len(words) - 2))]


class Clusters:
    """A plain union-find."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def root(self, row: int) -> int:
        """The smallest row of a cluster."""
        while self._parents[row] != row:
            self._parents[row] = row = self._parents[self._parents[row]]
        return row

    def tie(self, one: int, other: int) -> None:
        """Makes two clusters one."""
        low, high = sorted((self.root(one), self.root(other)))
        self._parents[high] = low

    def labels(self) -> np.ndarray:
        """The root of each row."""
        return np.array([self.root(row) for row in range(len(self._parents))])


def by_datasketch(file: Path, folder: Path) -> tuple[float, float, np.ndarray]:
    """MinHash of 128 permutations, LSH at the threshold: each row is asked for, then put in."""
    from datasketch import MinHash, MinHashLSH

    started, before = time.perf_counter(), time.process_time()
    texts = texts_of(file)
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    clusters = Clusters(len(texts))
    for row, signature in enumerate(MinHash.generator([grams_of(text) for text in texts], num_perm=PERMUTATIONS)):
        for other in index.query(signature):
            clusters.tie(row, other)
        index.insert(row, signature, check_duplication=False)
    labels = clusters.labels()
    return time.perf_counter() - started, time.process_time() - before, labels


def by_datatrove(file: Path, folder: Path) -> tuple[float, float, np.ndarray]:
    """Its MinHash stages: signatures, buckets, clusters; 14 buckets of 8 hashes, word 3-grams, one worker."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.utils.hashing import HashConfig

    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "input"
    source.mkdir()
    started, before = time.perf_counter(), time.process_time()
    with (source / "rows.jsonl").open("w", encoding="utf-8") as stream:
        for row, text in enumerate(texts_of(file)):
            stream.write(json.dumps({"text": text, "id": str(row)}) + "\n")
    settings = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=3)
    names = [str(folder / name) for name in ("signatures", "buckets", "clusters")]
    stages = [
        ([JsonlReader(str(source)), MinhashDedupSignature(output_folder=names[0], config=settings)], 1),
        ([MinhashDedupBuckets(input_folder=names[0], output_folder=names[1], config=settings)], settings.num_buckets),
        ([MinhashDedupCluster(input_folder=names[1], output_folder=names[2], config=settings, save_cluster_id=True)], 1),
    ]
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=str(folder / f"logs{number}")).run()
    seconds, processor = time.perf_counter() - started, time.process_time() - before
    clusters = Clusters(row + 1)
    for path in sorted((folder / "buckets").rglob("*.dups")):
        for _, one, _, other in struct.iter_unpack("<4I", path.read_bytes()):
            clusters.tie(one, other)
    return seconds, processor, clusters.labels()


def main() -> None:
    """Runs one peer."""
    peer, file, folder, found = sys.argv[1], *map(Path, sys.argv[2:])
    seconds, processor, labels = {"datasketch": by_datasketch, "datatrove": by_datatrove}[peer](file, folder)
    np.save(found, labels)
    print(seconds, processor)


if __name__ == "__main__":
    main()
