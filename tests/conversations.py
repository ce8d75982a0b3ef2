"""Conversations of every kind, for the tests of masks and templates."""

from __future__ import annotations

from typing import Any

from luthier.core.records import INPUT_ROLE, Message, ToolCall

RUN = {
    "type": "function",
    "function": {
        "name": "run",
        "description": "Runs a command & returns <text>.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}
S, U, A, T = (lambda text, role=role, **fields: Message(role, text, **fields) for role in ("system", "user", "assistant", "tool"))
CALL = A("", tool_calls=(ToolCall("run", {"command": "ls 'a b' > ü.txt", "count": 2}, id="call_1"),))
CALLS = A("I look.", tool_calls=(ToolCall("run", {"command": "ls"}), ToolCall("run", {"command": "pwd"})))

CONVERSATIONS: dict[str, tuple[Message, ...]] = {
    "single": (U("list all files"), A("ls -la")),
    "system": (S("Answer with one command."), U("list all files"), A("ls -la")),
    "many turns": (U("list all files"), A("ls -la"), U("by size"), A("ls -laS"), U("the largest"), A("ls -S | head -n 1")),
    "tool call": (U("how many files?"), CALL, T("a.txt\nb.txt", tool_call_id="call_1", name="run"), A("Two.")),
    "tool calls": (S("Use tools."), U("where am I?"), CALLS, T("a.txt"), T("/home"), A("In /home.")),
    "flags": (U("one"), A("not trained", train=False), U("two"), A("trained", train=True)),
    "trained question": (U("this is trained too", train=True), A("yes")),
    "unicode": (U("grüße 🙂 in 漢字"), A("printf '🦄 naïve\\n' # 漢"), U("é"), A("👩‍👩‍👧")),
    "empty answer": (U("say nothing"), A("")),
    "blanks": (U("  indented\n"), A("\n  ls -la  \n")),
    "reasoning": (U("2 + 2"), A("4", reasoning="2 and 2 make 4"), U("3 + 3"), A("6", reasoning="3 and 3 make 6")),
    "input": (U("count the words"), Message(INPUT_ROLE, "a b c"), A("3")),
    "system alone": (S("Answer."), U("question without an answer")),
    "special text": (U("what is <|im_end|>?"), A("A token: </s> or <|im_end|>.")),
}
TURNS = [
    {"from": "human", "value": "list all files"},
    {"from": "gpt", "value": "ls -la"},
    {"from": "human", "value": "by size"},
    {"from": "gpt", "value": "ls -laS"},
]
SYSTEM = {"from": "system", "value": "Answer with one command."}
FLAGGED = [{**TURNS[0], "weight": True}, {**TURNS[1], "weight": False}, *TURNS[2:]]
DETAILS = [{"begin_offset": 0, "end_offset": 2, "train": False}, {"begin_offset": 3, "end_offset": 6, "train": True}]
DETAILED = [*TURNS[:3], {**TURNS[3], "parts": DETAILS}]
# The keys that choose what is trained: keys of the data-set entry, keys of the run, and the turns.
KEYS: dict[str, tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]] = {
    "roles_to_train: [human, gpt]": ({"roles_to_train": ["human", "gpt"]}, {}, TURNS),
    "roles_to_train: user": ({"roles_to_train": "user"}, {}, TURNS),
    "roles_to_train: [system, assistant]": ({"roles_to_train": ["system", "assistant"]}, {}, [SYSTEM, *TURNS]),
    "train_on_eos: all": ({"train_on_eos": "all"}, {}, TURNS),
    "train_on_eos: last": ({"train_on_eos": "last"}, {}, TURNS),
    "train_on_eos: none": ({"train_on_eos": "none"}, {}, TURNS),
    "train_on_eot: none": ({"train_on_eot": "none"}, {}, TURNS),
    "train_on_eos: none, train_on_inputs: true": ({"train_on_eos": "none"}, {"train_on_inputs": True}, TURNS),
    "message_field_training: weight": ({"message_field_training": "weight"}, {}, FLAGGED),
    "message_field_training_detail: parts": ({"message_field_training_detail": "parts"}, {}, DETAILED),
    "message_field_training_detail: parts, train_on_inputs: true": (
        {"message_field_training_detail": "parts"},
        {"train_on_inputs": True},
        DETAILED,
    ),
}
WITH_TOOLS = frozenset({"tool call", "tool calls"})
# As Qwen3 words turns: reasoning stays only after the last question, so that earlier answers are rewritten.
REASONS = (
    "{%- set ns = namespace(last=0) -%}"
    "{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
    "{%- for m in messages -%}{{- '<|im_start|>' + m.role + '\n' -}}"
    "{%- if m.reasoning_content and loop.index0 > ns.last -%}{{- '<think>\n' + m.reasoning_content + '\n</think>\n\n' -}}{%- endif -%}"
    "{{- m.content + '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
