"""Models in memory: several adapters on one base, models of their own beside it, each loaded once and forgotten when nobody names it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.core.candidates import TUNED
from luthier.core.weight_files import stamp
from luthier.model.adapters.files import load_adapter
from luthier.model.answering.engine import Speaker
from luthier.model.answering.parts import ModelParts
from luthier.model.answering.voices import make_voices
from luthier.model.base import load_base, load_trained_model
from luthier.model.tokenizer import TextTokenizer

# The weights that models speak through.
Net = PreTrainedModel


@dataclass(slots=True)
class _Shared:
    """A base with the adapters on it; `model` is wrapped by peft once it has one.

    `active` is the adapter that is switched on, empty where none is, and None where peft has just changed them.
    """

    net: PreTrainedModel
    model: PeftModel | None = None
    active: str | None = ""
    users: set[str] = field(default_factory=set)

    def switch(self, adapter: str) -> None:
        """Turns on `adapter`, none where it is empty."""
        if self.model is None or adapter == self.active:
            return
        if not adapter:
            self.model.base_model.disable_adapter_layers()
        else:
            self.model.base_model.enable_adapter_layers()
            self.model.set_adapter(adapter, inference_mode=True)
        self.active = adapter


class LoadedModels:
    """The models that are in memory, each under a name of its own."""

    def __init__(self) -> None:
        self._nets: dict[tuple[object, ...], _Shared] = {}
        # Names of models, and the nets that they speak through.
        self._keys: dict[str, tuple[object, ...]] = {}
        self._count = 0
        self._adapters: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are loaded, the one that was loaded longest ago first."""
        return tuple(self._keys)

    def has_net(self, parts: ModelParts, which: str) -> bool:
        """Whether the weights that a model speaks through are here already."""
        return _key(parts, which) in self._nets

    def open(self, name: str, parts: ModelParts, which: str, net: PreTrainedModel | None = None) -> Speaker:
        """Makes a model known as `name`: with `which` the `tuned` or the `base` one of `parts`. A base that is here already is shared.

        `net` are its weights where `load_net` has loaded them; they are loaded now where neither is so.
        """
        tokenizer = TextTokenizer.from_folder(parts.own_tokenizer)
        voice = make_voices(parts, tokenizer)[which]
        key = _key(parts, which)
        shared = self._nets.get(key)
        if shared is None:
            shared = self._nets[key] = _Shared(net or load_net(parts, which))
        shared.users.add(name)
        self._keys[name] = key
        adapter = ""
        if which == TUNED and parts.is_adapted:
            assert parts.tuned is not None
            # peft's names of adapters are parts of module paths, which a dot would divide.
            self._count += 1
            adapter = self._adapters[name] = f"adapter{self._count}"
            shared.model = load_adapter(shared.model or shared.net, parts.tuned, adapter)
            shared.model.eval()
            shared.active = None
        return Speaker(voice, tokenizer, shared.net, _switch(shared, adapter))

    def close(self, name: str) -> None:
        """Forgets a model; its base goes with the last that speaks through it."""
        key = self._keys.pop(name)
        shared = self._nets[key]
        shared.users.discard(name)
        adapter = self._adapters.pop(name, None)
        if not shared.users:
            del self._nets[key], shared
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        elif adapter is not None and shared.model is not None:
            shared.switch("")
            shared.model.delete_adapter(adapter)
            shared.active = None


def load_net(parts: ModelParts, which: str) -> PreTrainedModel:
    """The weights that a model speaks through, ready to answer; what takes long in opening it. Safe in another thread."""
    if which == TUNED and not parts.is_adapted:
        assert parts.tuned is not None
        return load_trained_model(parts.location, parts.tuned, parts.settings, parts.plan).eval()
    return load_base(parts.location, parts.settings, parts.plan).eval()


def _key(parts: ModelParts, which: str) -> tuple[object, ...]:
    is_whole = which == TUNED and not parts.is_adapted
    folder = parts.tuned if is_whole and parts.tuned is not None else parts.location.path
    # Files that were written anew are other weights.
    return str(folder), stamp(folder), is_whole, parts.settings, parts.plan.dtype


def _switch(shared: _Shared, adapter: str) -> Callable[[], None]:
    return lambda: shared.switch(adapter)
