"""Makes `starter`: tokenizer, text, training, export. Run `python -m recipes.starter.make` in the repository's root.

Killed at any moment and started again with the same flags it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from recipes.starter.export import export
from recipes.starter.initial import lay_in
from recipes.starter.model import build_model
from recipes.starter.packing import encode, rows
from recipes.starter.probe import probe
from recipes.starter.rare import set_apart
from recipes.starter.text import document, documents, protected_grams, whole
from recipes.starter.tokenizer import PAD, TURN_END, train_tokenizer
from recipes.starter.train import STEPS, Settings, note, train

ROOT = Path(__file__).resolve().parents[2]
SEED = 1
TOKENIZER_SEED, TOKENIZER_DOCUMENTS, TOKENIZER_START = 2, 12_000, 720
DOCUMENTS = 116_000


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer in the build folder, trained if it is not there yet."""
    file = folder / "tokenizer.json"
    if not file.exists():
        tokenizer = train_tokenizer(whole(document(TOKENIZER_SEED, number, TOKENIZER_START)) for number in range(TOKENIZER_DOCUMENTS))
        tokenizer.save(str(file))
    return Tokenizer.from_file(str(file))


def rows_of(folder: Path, tokenizer: Tokenizer, count: int) -> dict[str, np.ndarray]:
    """The packed rows of the whole text, made if they are not in the build folder yet."""
    file = folder / f"rows-{count}.npz"
    if not file.exists():
        protected = protected_grams(ROOT / "examples" / "quickstart")
        counts = {"documents": 0}

        def counted():  # type: ignore[no-untyped-def]
            for pieces in documents(SEED, count, protected):
                counts["documents"] += 1
                yield pieces

        ids, weights, owner = zip(*rows(encode(tokenizer, counted(), tokenizer.token_to_id(PAD)), counts), strict=True)
        packed = {
            "ids": np.stack(ids).astype(np.uint16),
            "weights": np.rint(np.stack(weights) * 100).astype(np.uint8),
            "owner": np.stack(owner).astype(np.uint8),
            "documents": np.array(counts["documents"]),
        }
        note(
            folder,
            f"text: {counts['documents']} documents, {count - counts['documents']} dropped for a word 8-gram of the quickstart, "
            f"{counts.get('too_long', 0)} longer than a row; {int((packed['owner'] > 0).sum())} tokens in {len(ids)} rows",
        )
        part = folder / "rows.part.npz"
        np.savez(part, **packed)
        part.rename(file)
    with np.load(file) as held:
        return dict(held)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--build", type=Path, default=ROOT / "build" / "starter", help="where tokens and checkpoints are kept")
    flags.add_argument("--output", type=Path, help="where the finished model goes (default: model/ in the build folder)")
    flags.add_argument("--documents", type=int, default=DOCUMENTS)
    flags.add_argument("--steps", type=int, default=STEPS, help="a shorter or longer run; another model than the shipped one")
    flags.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = flags.parse_args()

    began = time.monotonic()
    chosen.build.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(chosen.build)
    packed = rows_of(chosen.build, tokenizer, chosen.documents)
    model = build_model(tokenizer.get_vocab_size(), tokenizer.token_to_id(PAD), tokenizer.token_to_id(TURN_END))
    lay_in(model)
    settings = Settings(steps=chosen.steps)
    train(model.to(chosen.device), packed, chosen.build, settings, lambda trained: probe(trained, tokenizer))
    model = model.cpu()
    count = settings.steps * settings.rows_per_step
    used = packed["owner"][:count] > 0
    times = torch.bincount(torch.from_numpy(packed["ids"][:count][used].astype(np.int64)), minlength=tokenizer.get_vocab_size())
    note(chosen.build, f"{set_apart(model.model.embed_tokens.weight.data, times)} rare tokens set apart")
    facts = {
        "tokens_millions": f"{int(used.sum()) / 1e6:.1f}",
        "documents": f"{chosen.documents:,}",
        "dropped": str(chosen.documents - int(packed["documents"])),
        "probe": ", ".join(f"{kind} {share:.0%}" for kind, share in probe(model, tokenizer).items()),
    }
    export(model, tokenizer, chosen.output or chosen.build / "model", facts)
    note(chosen.build, f"done after {(time.monotonic() - began) / 60:.1f} minutes on {chosen.device}")


if __name__ == "__main__":
    main()
