"""Memory arithmetic of training the base's own weights. Without torch."""

from __future__ import annotations

_FLOAT32_BYTES = 4
_WIDTH_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Bytes of an optimizer's memory for each trained weight: AdamW's two moments, Lion's one, in float32 or in 8 bits. What depends on a
# weight's shape (Adafactor, Muon) is not told.
_MOMENT_BYTES = {
    **dict.fromkeys(("adamw_torch", "adamw_torch_fused", "paged_adamw", "paged_adamw_32bit"), 8),
    **dict.fromkeys(("adamw_torch_8bit", "adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit"), 2),
    **dict.fromkeys(("lion", "lion_32bit", "paged_lion_32bit"), 4),
    **dict.fromkeys(("lion_8bit", "paged_lion_8bit"), 1),
}


def whole_note(trained: int, total: int, dtype: str, optimizer: str) -> str:
    """What is trained without an adapter, and the memory that it takes before any activation."""
    weights = trained * _FLOAT32_BYTES + (total - trained) * _WIDTH_BYTES[dtype]
    parts = [f"weights {_size(weights)}", f"gradients {_size(trained * _FLOAT32_BYTES)}"]
    moments = _MOMENT_BYTES.get(optimizer)
    if moments is not None:
        parts.append(f"moments of `{optimizer}` {_size(trained * moments)}")
    if dtype != "float32":
        parts.append(f"weights in {dtype} for a pass {_size(trained * _WIDTH_BYTES[dtype])}")
    what = f"all {total:,} weights are trained" if trained == total else f"{trained:,} of {total:,} weights are trained"
    return f"{what}, held in float32: {', '.join(parts)}, beside activations"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
