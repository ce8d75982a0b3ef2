"""The peer's side: TRL's SFTTrainer on the same rows, from the same first adapter. Runs in the peer's own environment.

    python train_trl.py '{"base": ..., "rows": ..., "adapter": ..., "out": ..., ...}'

Prints one JSON line: seconds and non-padding tokens of each step, the losses, versions, and peak memory. Writes the trained
adapter to `out`.
"""

import json
import resource
import sys
import time

import accelerate
import peft
import torch
import transformers
import trl
from datasets import load_dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
from trl import SFTConfig, SFTTrainer

job = json.loads(sys.argv[1])
torch.set_num_threads(job["threads"])
cpu = not torch.cuda.is_available()
seconds: list[float] = []
processor_seconds: list[float] = []


class Clock(TrainerCallback):
    """Times each optimizer step; fetching the batch lies outside, in the peer's favour."""

    started = processor = 0.0

    def on_step_begin(self, *_, **__):
        if not cpu:
            torch.cuda.synchronize()
        self.started, self.processor = time.perf_counter(), time.process_time()

    def on_step_end(self, *_, **__):
        if not cpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - self.started)
        processor_seconds.append(time.process_time() - self.processor)


class InOrder(SFTTrainer):
    """Takes the rows in the order of the file."""

    def _get_train_sampler(self, dataset=None):
        return torch.utils.data.SequentialSampler(self.train_dataset if dataset is None else dataset)


dtype = getattr(torch, job["dtype"])
nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)
model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=dtype, quantization_config=nf4 if job["nf4"] else None)
peer = PeftModel.from_pretrained(model, job["adapter"], is_trainable=True)
initial = {name: value.detach().clone() for name, value in peer.named_parameters() if value.requires_grad}
trainer = (SFTTrainer if job["packing"] else InOrder)(
    model=peer,
    processing_class=AutoTokenizer.from_pretrained(job["base"]),
    train_dataset=load_dataset("json", data_files=job["rows"], split="train", cache_dir=job["out"] + "/cache"),
    callbacks=[Clock()],
    args=SFTConfig(
        output_dir=job["out"],
        num_train_epochs=1,
        max_steps=job["max_steps"] or -1,
        per_device_train_batch_size=job["micro_batch_size"],
        gradient_accumulation_steps=1,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="linear",
        warmup_steps=0,
        max_length=job["sequence_len"],
        packing=job["packing"],
        assistant_only_loss=True,
        gradient_checkpointing=False,
        bf16=job["dtype"] == "bfloat16",
        use_cpu=cpu,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        include_num_input_tokens_seen="non_padding",
        seed=1,
    ),
)
if dtype == torch.float32:
    # On a quantised base TRL rounds the adapter to bfloat16; losses are compared with the adapter in one number format on both sides.
    for name, value in trainer.model.named_parameters():
        if name in initial:
            value.data = initial[name]
trainer.train()
trainer.model.save_pretrained(job["out"] + "/adapter")
log = [entry for entry in trainer.state.log_history if "loss" in entry]
seen = [entry["num_input_tokens_seen"] for entry in log]
print(
    json.dumps(
        {
            "seconds": seconds,
            "processor_seconds": processor_seconds,
            "tokens": [after - before for before, after in zip([0, *seen], seen, strict=False)],
            "losses": [entry["loss"] for entry in log],
            "grad_norms": [entry["grad_norm"] for entry in log],
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if cpu else torch.cuda.max_memory_allocated(),
            "versions": {module.__name__: module.__version__ for module in (trl, transformers, peft, accelerate, torch)},
        }
    )
)
