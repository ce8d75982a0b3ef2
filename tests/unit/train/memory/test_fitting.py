"""Which micro batch, and how many layers that are made again, fit a given memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luthier.config.keys.batches import BatchSettings
from luthier.model.memory import EVERY_LAYER, Load, Training
from luthier.model.shapes import read_shapes
from luthier.train.memory.fitting import (
    FILLED_SHARE,
    Asked,
    Cut,
    RowSizes,
    Sizing,
    largest_batches,
    largest_evaluation,
    resized,
    sizes_of_step,
)
from luthier.train.step.batches import BatchPlan, evaluation_batches
from training_parts import BATCHES, LORA, OPTIMIZER, qwen, rows

DATA = rows(23)
SIZES = RowSizes([len(row.ids) for row in DATA], [int(row.trained[1:].sum()) for row in DATA])
TRAINING = Training("float32", "cpu", "none", None, LORA, (), OPTIMIZER)


@pytest.fixture(scope="module")
def sizing(tmp_path_factory: pytest.TempPathFactory) -> Sizing:
    """Four layers; a step of twelve rows in micro batches of four."""
    folder = tmp_path_factory.mktemp("base")
    qwen(num_hidden_layers=4).save_pretrained(folder)
    settings = replace(BATCHES, packing=False, micro_batch_size=4, accumulation_steps=3, eval_micro_batch_size=4)
    return Sizing(read_shapes(folder), TRAINING, RowSizes(), replace(settings, sequence_len=4096), process=0)


def asked(sizing: Sizing, **what: bool) -> Sizing:
    return replace(sizing, asked=Asked(**what))


@pytest.mark.parametrize(
    "changes", [{}, {"packing": False}, {"packing": False, "groups_by_length": True}, {"packing": False, "pads": True}]
)
def test_the_largest_batch_is_that_of_the_plan(changes: dict[str, bool]) -> None:
    settings = replace(BATCHES, micro_batch_size=4, accumulation_steps=1, epochs=2.5, **changes)
    found = largest_batches(SIZES, settings, [4, 2, 1])
    for size, largest in found.items():
        own = resized(settings, size)
        batches = [batch for step in BatchPlan(SIZES.lengths, own).steps() for batch in step]
        tokens = max(sum(SIZES.lengths[row] for row in batch) for batch in batches)
        trained = max(sum(SIZES.trained[row] for row in batch) for batch in batches)
        assert largest.load == Load(max(tokens, own.least_tokens), trained, max(SIZES.lengths))
        assert list(largest.rows) in batches
        assert sum(SIZES.lengths[row] for row in largest.rows) == tokens


@pytest.mark.parametrize("packing", [True, False])
def test_a_step_holds_the_same_rows_whatever_the_micro_batch(packing: bool) -> None:
    settings = replace(BATCHES, packing=packing, micro_batch_size=6, accumulation_steps=1, epochs=2.0)
    whole = [sorted(row for batch in step for row in batch) for step in BatchPlan(SIZES.lengths, settings).steps()]
    assert sizes_of_step(settings) == [6, 3, 2, 1]
    for size in (3, 2, 1):
        steps = list(BatchPlan(SIZES.lengths, resized(settings, size)).steps())
        assert [sorted(row for batch in step for row in batch) for step in steps] == whole


def test_the_evaluation_follows_where_it_was_as_large() -> None:
    settings = replace(BATCHES, micro_batch_size=6, eval_micro_batch_size=6)
    assert resized(settings, 2).eval_micro_batch_size == 2
    assert resized(replace(settings, eval_micro_batch_size=5), 2).eval_micro_batch_size == 5
    batches = evaluation_batches(SIZES.lengths, settings)
    assert largest_evaluation(SIZES.lengths, settings) in batches
    assert largest_evaluation([], settings) == []


def test_without_rows_the_largest_batch_is_what_the_settings_allow(sizing: Sizing) -> None:
    assert sizing.largest(4).load == Load(4 * 4096, 4 * 4096, 4096)
    assert sizing.largest(12).rows == ()


def test_a_smaller_micro_batch_comes_before_layers_that_are_made_again(sizing: Sizing) -> None:
    both = asked(sizing, finds_batch=True, finds_layers=True)
    assert both.cuts() == [*(Cut(size, 0) for size in (12, 6, 4, 3, 2, 1)), *(Cut(1, count) for count in (1, 2, 3, 4))]
    assert sizing.cuts() == [Cut(4, 0)]
    always = replace(sizing, training=replace(TRAINING, recomputed=EVERY_LAYER))
    assert always.cuts() == [Cut(4, 4)]


@pytest.mark.parametrize("expected", [Cut(12, 0), Cut(6, 0), Cut(2, 0), Cut(1, 0)])
def test_the_largest_micro_batch_that_fits_is_chosen(sizing: Sizing, expected: Cut) -> None:
    auto = asked(sizing, finds_batch=True)
    room = int(auto.total(expected) / FILLED_SHARE) + 1
    assert auto.chosen(room)[0] == expected
    assert auto.total(expected) <= FILLED_SHARE * room


def test_no_more_layers_are_made_again_than_memory_demands(sizing: Sizing) -> None:
    auto = asked(sizing, finds_layers=True)
    totals = [auto.total(Cut(4, count)) for count in range(5)]
    assert auto.chosen(0)[0] == auto.chosen(2 * totals[0])[0] == Cut(4, 0)
    for count in (1, 2, 3):
        assert totals[count] < totals[count - 1]
        assert auto.chosen(int(totals[count] / FILLED_SHARE) + 1)[0] == Cut(4, count)
        assert auto.chosen(int(totals[count] / FILLED_SHARE) - 1)[0].recomputed > count


def test_where_nothing_fits_the_smallest_is_tried(sizing: Sizing) -> None:
    assert asked(sizing, finds_batch=True, finds_layers=True).chosen(1) == [Cut(1, 4)]
    assert sizing.chosen(1) == [Cut(4, 0)]


def test_a_training_that_goes_on_keeps_its_micro_batch(sizing: Sizing) -> None:
    auto = asked(sizing, finds_batch=True)
    assert [cut.micro_batch_size for cut in auto.chosen(0, kept_size=3)] == [3, 2, 1]
    assert auto.chosen(1, kept_size=3)[0] == Cut(3, 0)


def test_after_a_lack_of_memory_layers_follow_in_leaps(tmp_path: Path) -> None:
    qwen(num_hidden_layers=12).save_pretrained(tmp_path)
    many = Sizing(read_shapes(tmp_path), TRAINING, RowSizes(), BATCHES, Asked(finds_layers=True))
    assert [cut.recomputed for cut in many.chosen(0)] == [0, 3, 6, 9, 12]


def test_changes_are_told_by_cost_with_their_bytes(sizing: Sizing) -> None:
    cut = Cut(4, 0)
    smaller = sizing.total(Cut(2, 0))
    changes = sizing.changes(smaller, cut)
    assert changes[0].written == {"micro_batch_size": 2, "gradient_accumulation_steps": 6}
    assert changes[0].text == "micro_batch_size: 2, gradient_accumulation_steps: 6"
    assert changes[0].total_bytes == smaller
    kinds = [next(iter(change.written)) for change in changes]
    assert kinds[:3] == ["micro_batch_size", "gradient_checkpointing", "gradient_checkpointing"]
    assert {"sequence_len": 2048} in [change.written for change in changes]
    assert all(change.total_bytes <= smaller for change in changes)
    assert sizing.changes(1, cut) == []


def test_a_base_in_four_bits_is_told_where_it_is_what_fits(tmp_path: Path) -> None:
    qwen(hidden_size=512, intermediate_size=4096, num_attention_heads=4, num_key_value_heads=4, num_hidden_layers=4).save_pretrained(
        tmp_path
    )
    settings = replace(BATCHES, packing=False, micro_batch_size=1, sequence_len=8)
    large = Sizing(read_shapes(tmp_path), TRAINING, RowSizes(), settings, process=0)
    found = large.changes(int(0.8 * large.total(Cut(1, 0))), Cut(1, 0))
    # Layers of eight tokens that are made again take next to nothing away, and are not told.
    assert [change.written for change in found] == [{"adapter": "qlora", "load_in_4bit": True}]


def test_after_a_lack_of_memory_only_clearly_smaller_ones_are_told(sizing: Sizing) -> None:
    cut = Cut(4, 0)
    plenty = 10 * sizing.total(cut)
    assert len(sizing.changes(plenty, cut)) > 3
    told = sizing.changes(plenty, cut, lacked=True)
    assert told
    assert all(change.total_bytes <= 0.9 * sizing.total(cut) for change in told)


def test_a_part_of_a_change_that_takes_nothing_away_is_not_told(sizing: Sizing) -> None:
    # No row is longer than half of what is allowed, so that shorter rows change nothing; the base is small beside its activations.
    short = replace(sizing, rows=RowSizes([2000] * 24, [1000] * 24))
    plain = short.total(Cut(4, 0))
    found = {tuple(change.written): change.total_bytes for change in short.changes(plain, Cut(4, 0))}
    assert ("micro_batch_size", "gradient_accumulation_steps") in found
    assert not [kind for kind in found if "sequence_len" in kind or "load_in_4bit" in kind]
    assert all(total < 0.98 * plain for total in found.values())


def test_a_written_batch_size_stays(sizing: Sizing) -> None:
    written = replace(sizing, asked=Asked(accumulation_follows=True))
    assert written.changes(sizing.total(Cut(2, 0)), Cut(4, 0))[0].written == {"micro_batch_size": 2}


def test_what_auto_finds_is_not_told_to_be_written(sizing: Sizing) -> None:
    both = asked(sizing, finds_batch=True, finds_layers=True)
    kinds = {name for change in both.changes(both.total(Cut(1, 4)), Cut(1, 4)) for name in change.written}
    assert kinds <= {"sequence_len", "adapter", "load_in_4bit"}


def test_rows_of_other_lengths_give_other_batches() -> None:
    short = SIZES.up_to(20)
    assert short.lengths
    assert max(short.lengths) <= 20
    assert len(short.lengths) == len(short.trained) < len(SIZES.lengths)


def test_settings_that_are_not_divided_stay(sizing: Sizing) -> None:
    settings: BatchSettings = sizing.settings
    assert resized(settings, settings.micro_batch_size) == settings
