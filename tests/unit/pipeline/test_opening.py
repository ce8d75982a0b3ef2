"""What stands behind a name that can be asked: an exported merged model speaks as the adapter that it was made of."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from answering_parts import make_adapter, make_base, save_tokenizer
from luthier.config.load import load
from luthier.core.errors import ModelError
from luthier.core.protocols import DoneEvent, GenerationRequest
from luthier.core.records import Message
from luthier.core.runs import RunFolder
from luthier.model.answering.engine import AnsweringEngine
from luthier.model.answering.loaded import LoadedModels
from luthier.pipeline.opening import merged_of, target_of

torch.set_num_threads(1)
RUN = """
base_model: {base}
adapter: lora
learning_rate: 1e-3
bf16: false
default_system_message: You answer with one command.
output_dir: {out}
datasets: [{{path: {rows}}}]
"""
ADAPTER = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}[helper]\n{% endif %}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with an adapter whose wording is its own, not merged yet."""
    folder = tmp_path_factory.mktemp("opening")
    base = make_base(folder / "base")
    file = folder / "commands.yaml"
    file.write_text(RUN.format(base=base.path, out=folder / "runs", rows=file))
    loaded = load(file)
    made = RunFolder(loaded.folder)
    made.data.mkdir(parents=True)
    made.resolved_yaml.write_text(loaded.resolved_text())
    made.templates.write_text("{}")
    make_adapter(base, made.adapter)
    save_tokenizer(made.adapter, ADAPTER)
    return made


def merge(run: RunFolder) -> None:
    model = AutoModelForCausalLM.from_pretrained(target_of(str(run.path)).parts.location.path, dtype=torch.float32)
    PeftModel.from_pretrained(model, run.adapter).merge_and_unload().save_pretrained(run.merged)
    save_tokenizer(run.merged, ADAPTER)


def test_a_merged_model_answers_as_its_adapter_does(run: RunFolder) -> None:
    with pytest.raises(ModelError, match=r"no merged model"):
        merged_of(str(run.path))
    merge(run)
    loaded, engine = LoadedModels(), AnsweringEngine()
    for name, target in (("adapter", target_of(str(run.path))), ("merged", merged_of(str(run.path)))):
        assert target.parts.plan.dtype == "float32"
        engine.add(name, loaded.open(name, target.parts, "tuned"))
    engine.add("base", loaded.open("base", target_of(str(run.path)).parts, "base"))
    for name in loaded.names:
        for number in range(6):
            turns = (Message("user", "list files " * number),)
            assert engine.submit(GenerationRequest(f"{name} {number}", turns, name, max_new_tokens=24)) is None
    done = {}
    while not engine.is_idle:
        done |= {event.id: event for event in engine.step() if isinstance(event, DoneEvent)}
    told = {name: [(one.text, one.prompt_tokens) for one in (done[f"{name} {n}"] for n in range(6))] for name in loaded.names}
    assert told["merged"] == told["adapter"]
    assert told["base"] != told["adapter"]
    assert len(loaded._nets) == 2
