"""What each of several processes holds of a training, counted from its live tensors, for tests of what `luthier plan` tells."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit

from luthier.config.schema import RunConfig
from luthier.config.training_settings import training_settings
from luthier.core.events import EventLog
from luthier.core.files import write_json
from luthier.core.ranks import own_rank
from luthier.core.runs import RunFolder
from luthier.model.adapters.shards import own_part
from luthier.model.locate import locate
from luthier.pipeline.group import gathered
from luthier.train.memory.fitting import Cut
from luthier.train.step.batches import Rows
from luthier.train.strategies.processes import Processes
from luthier.train.strategies.strategy import Strategy
from luthier.train.training import Start, make_loop, make_model
from training_driver import PLAN
from training_parts import rows as token_rows
from zero_files import without_compiling


def hold(number: int, count: int, port: int, folder: str, base: str, ways: Mapping[str, dict[str, object]]) -> None:
    """Trains a step of two passes with the keys of each of `ways`, as one of `count` processes, and writes what it held of each."""
    torch.set_num_threads(1)
    without_compiling()
    facts = {"RANK": number, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in facts.items()})
    try:
        with gathered(own_rank()) as group:
            assert group is not None
            group.join(torch.device("cpu"), 120)
            found = {name: _held(Path(folder) / name, base, keys, group) for name, keys in ways.items()}
        write_json(Path(folder) / f"held-{number}.json", found)
    except BaseException:
        (Path(folder) / f"problem-{number}.txt").write_text(traceback.format_exc())
        raise


def config_of(base: str, keys: dict[str, object]) -> RunConfig:
    """The run file of one of `ways`."""
    more: dict[str, object] = {"learning_rate": 1e-3, "optimizer": "adamw_torch", "num_epochs": 9, "max_steps": 1, "save_strategy": "no"}
    return RunConfig(base_model=base, micro_batch_size=1, gradient_accumulation_steps=2, **{**more, **keys})


def _held(folder: Path, base: str, keys: dict[str, object], group: Processes) -> dict[str, int]:
    config, run = config_of(base, keys), RunFolder(folder)
    drawn = Rows(token_rows(7, longest=12), [])
    start = Start(training_settings(config), run, locate(base, None, run.hashes), PLAN, EventLog(None), "key", drawn, group=group)
    loop, store = make_loop(start, *make_model(start, Cut(1, 0)), config.batch_settings())
    strategy, most = loop.strategy, Counter[str]()
    plain = strategy.backward

    def backward(*arguments: Any, **more: Any) -> None:
        plain(*arguments, **more)
        _note(strategy, most)

    strategy.backward = backward  # type: ignore[method-assign]
    loop.run(store, EventLog(None))
    _note(strategy, most)
    return dict(most)


def _note(strategy: Strategy, most: Counter[str]) -> None:
    for name, tensors in _tensors(strategy).items():
        # A tensor may be a piece of another one's memory.
        memory = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
        most[name] = max(most[name], sum(memory.values()))


def _tensors(strategy: Any) -> dict[str, list[torch.Tensor]]:
    """By the names of the parts: the parameters with what unpacks them, gradients, what is stepped, and the optimizer's state."""
    model, optimizer = strategy._model, strategy._optimizer
    own = [(name, getattr(value, "ds_tensor", own_part(value.detach()))) for name, value in model.named_parameters()]
    scales = [module.quant_state for module in model.modules() if isinstance(module, Linear4bit)]
    engine = vars(strategy._engine.optimizer) if hasattr(strategy, "_engine") else {}
    flat = [engine.get(name, []) for name in ("single_partition_of_fp32_groups", "fp32_partitioned_groups_flat")]
    stepped = [*_all(flat), *_all(engine.get("param_buffer_of_bit16_for_cpu_offload_groups", []))]
    grads = [value.grad for value in (*model.parameters(), *_all(flat)) if value.grad is not None]
    sums = ("averaged_gradients", "all_grad_tensors", "accumulated_grads_in_cpu", "grad_partitions_flat_buffer")
    return {
        "base weights": [*(value for name, value in own if "lora_" not in name), *(part for state in scales for part in _packing(state))],
        "adapter": [value for name, value in own if "lora_" in name],
        "gradients": [*map(own_part, grads), *(tensor for name in sums for tensor in _all(engine.get(name)))],
        "weights to step": stepped,
        "optimizer state": [own_part(value) for state in optimizer.state.values() for value in _all(state)],
    }


def _packing(state: Any) -> list[torch.Tensor]:
    return [state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]


def _all(held: Any) -> Iterator[torch.Tensor]:
    """Every tensor in lists and mappings of them."""
    if isinstance(held, torch.Tensor):
        yield held
    elif isinstance(held, Mapping | list | tuple):
        inner: Iterable[Any] = held.values() if isinstance(held, Mapping) else held
        for value in inner:
            yield from _all(value)
