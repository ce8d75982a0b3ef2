from __future__ import annotations

import pytest
import torch

from luthier.core.errors import ModelError
from luthier.model.attention import RowLayout, layout_of, rows_attention
from training_parts import by_rows, qwen

CPU = torch.device("cpu")


def test_neighbours_of_equal_length_need_no_places():
    layout = layout_of([3, 3, 20, 20, 20], CPU, torch.float32)
    assert layout == RowLayout(((2, 3), (3, 20)))
    assert (layout.rows, layout.longest) == (5, 20)


def test_rows_of_similar_length_share_a_group():
    layout = layout_of([2, 3, 30, 100, 112, 113], CPU, torch.float32)
    assert layout.groups == ((2, 3), (1, 30), (2, 112), (1, 113))
    assert layout.places[:8].tolist() == [0, 1, 1, 2, 3, 4, 5, 6]
    assert layout.tokens[:6].tolist() == [0, 1, 3, 4, 5, 6]
    assert len(layout.places) == 6 + 30 + 224 + 113
    assert torch.equal(layout.places[layout.tokens], torch.arange(360))


def expected(query, key, value, lengths, scale, softcap=None, window=None):
    """Attention of each row, written as the formula."""
    key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value))
    parts, start = [], 0
    for length in lengths:
        q, k, v = (part[0, :, start : start + length] for part in (query, key, value))
        scores = q @ k.transpose(1, 2) * scale
        scores = softcap * torch.tanh(scores / softcap) if softcap else scores
        distance = torch.arange(length)[:, None] - torch.arange(length)[None]
        seen = (distance >= 0) & (distance < (window or length))
        parts.append((scores.masked_fill(~seen, -1e30).softmax(-1) @ v).transpose(0, 1))
        start += length
    return torch.cat(parts)[None]


@pytest.mark.parametrize(
    "terms", [{}, {"softcap": 3.0}, {"sliding_window": 4}, {"softcap": 2.0, "sliding_window": 3}, {"sliding_window": 99}]
)
def test_attention_of_rows(terms):
    torch.manual_seed(0)
    lengths = [1, 2, 2, 6, 9, 9]
    query, key, value = (torch.randn(1, heads, sum(lengths), 8) for heads in (4, 2, 2))
    output, weights = rows_attention(
        torch.nn.Module(), query, key, value, None, rows=layout_of(lengths, CPU, torch.float32), scaling=0.3, **terms
    )
    assert weights is None
    assert output.shape == (1, sum(lengths), 4, 8)
    window = terms.get("sliding_window")
    torch.testing.assert_close(output, expected(query, key, value, lengths, 0.3, terms.get("softcap"), window), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("terms", [{"rows": None}, {"position_bias": torch.zeros(1)}, {"s_aux": torch.zeros(4)}])
def test_what_is_not_known_is_refused(terms):
    part = torch.zeros(1, 2, 3, 4)
    given = {"rows": RowLayout(((1, 3),)), **terms}
    with pytest.raises(ModelError, match="attn_implementation: eager"):
        rows_attention(torch.nn.Module(), part, part, part, None, **given)


def test_a_model_without_rows_says_so():
    with pytest.raises(ModelError, match="attend by rows"):
        by_rows(qwen())(input_ids=torch.tensor([[3, 4]]))
