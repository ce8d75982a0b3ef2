from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.trainer_pt_utils import get_length_grouped_indices

from luthier.train.step.batches import BatchPlan, Course, Rhythm, by_length, evaluation_batches, pack, plan_epoch
from training_parts import BATCHES

UNPACKED = replace(BATCHES, packing=False, micro_batch_size=2, accumulation_steps=2)
LENGTHS = st.lists(st.integers(2, 64), min_size=1, max_size=60)


def flat(plan):
    return [row for step in plan for micro in step for row in micro]


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(0, 3), st.integers(1, 3), st.booleans())
def test_every_row_comes_once_and_bins_hold(lengths, epoch, processes, packing):
    chosen = replace(BATCHES, packing=packing, accumulation_steps=2)
    plan = plan_epoch(lengths, chosen, epoch, processes)
    assert sorted(flat(plan)) == list(range(len(lengths)))
    assert plan == plan_epoch(list(lengths), chosen, epoch, processes)
    for step in plan:
        assert 1 <= len(step) <= 2 * processes
        for micro in step:
            assert sum(lengths[row] for row in micro) <= (chosen.sequence_len * chosen.micro_batch_size)


@settings(deadline=None)
@given(LENGTHS)
def test_bins_hold_and_waste_little(lengths):
    bins = pack(range(len(lengths)), lengths, 64)
    fills = [sum(lengths[row] for row in part) for part in bins]
    assert max(fills) <= 64
    # Two bins that fit into one would have been one, as long as both were open.
    assert sum(1 for fill in fills if fill <= 32) <= 1


def test_packing_is_dense_and_rows_stay_drawn_at_random():
    lengths = np.random.default_rng(0).integers(10, 90, 3000).tolist()
    plan = plan_epoch(lengths, replace(BATCHES, sequence_len=1024), 0)
    sizes = [sum(lengths[row] for micro in step for row in micro) for step in plan]
    assert np.mean(sizes[:-1]) > 0.98 * 2048
    means = [np.mean([lengths[row] for micro in step for row in micro]) for step in plan[:-1]]
    assert np.std(means) < 8  # A sort by length would spread the means over 10 to 90.
    assert flat(plan) != flat(plan_epoch(lengths, replace(BATCHES, sequence_len=1024), 1))
    assert flat(plan) != flat(plan_epoch(lengths, replace(BATCHES, sequence_len=1024, seed=8), 0))


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(0, 3), st.integers(1, 3))
def test_grouped_rows_come_once_too_and_the_longest_first(lengths, epoch, processes):
    grouped = replace(UNPACKED, groups_by_length=True)
    plan = plan_epoch(lengths, grouped, epoch, processes)
    assert sorted(flat(plan)) == list(range(len(lengths)))
    assert plan == plan_epoch(list(lengths), grouped, epoch, processes)
    assert lengths[plan[0][0][0]] == max(lengths)
    assert [[len(micro) for micro in step] for step in plan] == [
        [len(micro) for micro in step] for step in plan_epoch(lengths, UNPACKED, epoch, processes)
    ]
    assert BatchPlan(lengths, grouped, processes).course == BatchPlan(lengths, UNPACKED, processes).course


def test_groups_are_of_like_length_and_drawn_anew():
    lengths = np.random.default_rng(0).integers(10, 500, 4000).tolist()
    chosen = replace(BATCHES, packing=False, micro_batch_size=8)
    grouped = replace(chosen, groups_by_length=True)

    def padding(plan):
        spread = [[lengths[row] for row in micro] for step in plan for micro in step]
        return 1 - sum(map(sum, spread)) / sum(max(part) * len(part) for part in spread)

    assert padding(plan_epoch(lengths, grouped, 0)) < 0.02
    assert padding(plan_epoch(lengths, chosen, 0)) > 0.35
    assert flat(plan_epoch(lengths, grouped, 0)) != flat(plan_epoch(lengths, grouped, 1))
    assert flat(plan_epoch(lengths, grouped, 0)) != flat(plan_epoch(lengths, replace(grouped, seed=8), 0))


def test_runs_are_those_of_transformers(monkeypatch):
    """From the same draw: `get_length_grouped_indices` with its own random numbers taken away."""
    for count, step_rows in ((1, 4), (7, 4), (64, 4), (1000, 4), (5003, 8), (30, 1)):
        lengths = np.random.default_rng(count).integers(2, 60, count).tolist()
        drawn = np.random.default_rng(1).permutation(count).tolist()
        monkeypatch.setattr(torch, "randperm", lambda number, generator=None, drawn=drawn: torch.tensor(drawn))
        assert by_length(drawn, lengths, step_rows) == get_length_grouped_indices(lengths, step_rows)
    assert by_length([], [], 4) == []


def test_order_of_the_file_is_kept_without_shuffle():
    assert flat(plan_epoch([5] * 9, replace(UNPACKED, shuffle=False), 3)) == list(range(9))


@pytest.mark.parametrize(
    ("rows", "epochs", "steps", "ends"),
    [(10, 1.0, 3, (3,)), (10, 2.0, 5, (3, 5)), (8, 3.0, 6, (2, 4, 6)), (10, 0.5, 2, (2,)), (10, 1.5, 4, (3, 4)), (1, 1.0, 1, (1,))],
)
def test_unpacked_steps_are_axolotls(rows, epochs, steps, ends):
    course = BatchPlan([5] * rows, replace(UNPACKED, epochs=epochs)).course
    assert course == Course(steps, ends)


def test_last_short_step_is_kept():
    steps = list(BatchPlan([5] * 10, replace(UNPACKED, epochs=1.0)).steps())
    assert [[len(micro) for micro in step] for step in steps] == [[2, 2], [2, 2], [2]]


def test_packed_steps_and_fractions():
    lengths = [30] * 20  # two rows a bin, two bins a micro batch: five steps an epoch
    assert BatchPlan(lengths, BATCHES).course == Course(5, (5,))
    assert BatchPlan(lengths, replace(BATCHES, epochs=2.5)).course == Course(13, (5, 10, 13))
    assert BatchPlan(lengths, replace(BATCHES, epochs=3.0, max_steps=7)).course == Course(7, (5, 7))
    assert BatchPlan(lengths, replace(BATCHES, max_steps=100)).course == Course(5, (5,))


@pytest.mark.parametrize("packing", [True, False])
def test_steps_go_on_from_anywhere(packing):
    plan = BatchPlan([20, 30, 11, 40, 7] * 7, replace(BATCHES, packing=packing, epochs=2.4))
    whole = list(plan.steps())
    assert len(whole) == plan.course.steps
    for after in range(len(whole) + 1):
        assert list(plan.steps(after)) == whole[after:]


def test_processes_share_a_step():
    lengths = [5] * 16
    one = plan_epoch(lengths, replace(UNPACKED, accumulation_steps=4), 0, 1)
    two = plan_epoch(lengths, UNPACKED, 0, 2)
    assert one == two
    assert [len(step[rank::2]) for step in two for rank in (0, 1)] == [2, 2, 2, 2]


def test_epochs_done():
    course = Course(13, (5, 10, 13))
    assert [course.epoch_at(step) for step in (0, 1, 5, 10, 13)] == [0.0, 0.2, 1.0, 2.0, 3.0]


def test_an_epoch_that_max_steps_cuts_is_told_by_the_rows_that_were_seen() -> None:
    # 9 rows in steps of 4: the third step of an epoch has one row.
    settings = replace(BATCHES, packing=False, micro_batch_size=2, accumulation_steps=2, epochs=5.0)
    whole = BatchPlan([10] * 9, replace(settings, epochs=1.0)).course
    assert [whole.epoch_at(step) for step in range(4)] == pytest.approx([0, 4 / 9, 8 / 9, 1])
    cut = BatchPlan([10] * 9, replace(settings, max_steps=2)).course
    assert (cut.steps, cut.epoch_at(2)) == (2, pytest.approx(8 / 9))
    later = BatchPlan([10] * 9, replace(settings, max_steps=4)).course
    assert [later.epoch_at(step) for step in (3, 4, 5)] == pytest.approx([1, 1 + 4 / 9, 1 + 4 / 9])
    packed = BatchPlan([16] * 40, replace(BATCHES, sequence_len=64, micro_batch_size=1, accumulation_steps=1, max_steps=5)).course
    assert packed.epoch_at(5) == pytest.approx(5 / 10)


def test_evaluation_holds_every_row_once():
    lengths = [10, 60, 30, 30, 7]
    for packing in (True, False):
        batches = evaluation_batches(lengths, replace(BATCHES, eval_packing=packing))
        assert Counter(row for micro in batches for row in micro) == Counter(range(5))


@pytest.mark.parametrize(
    ("rhythm", "expected"),
    [
        (Rhythm(None, None, None), {10, 20}),
        (Rhythm("epoch", None, None), {10, 20}),
        (Rhythm("no", None, None), set()),
        (Rhythm("steps", 6, None), {6, 12, 18}),
        (Rhythm(None, 0.3, None), {6, 12, 18}),
        (Rhythm(None, None, 2), {5, 10, 15, 20}),
        (Rhythm(None, None, 0), set()),
        (Rhythm(None, 7.0, None), {7, 14}),
    ],
)
def test_rhythm(rhythm, expected):
    assert rhythm.steps(Course(20, (10, 20)), 2.0) == expected


def test_once_in_one_epoch_is_its_end():
    assert Rhythm(None, None, 1).steps(Course(8, (8,)), 1.0) == {8}


def test_the_smallest_share_of_an_epoch_is_one_step():
    plan = BatchPlan([5] * 10, replace(BATCHES, epochs=1e-12))
    assert plan.course.steps == 1
    assert len(list(plan.steps())) == 1
