"""An answer of OpenAI's chat API put together from the pieces that come."""

from __future__ import annotations

from luthier.core.protocols import DoneEvent, GenerationEvent, LikelyToken, TokenEvent, TokenLogprob
from luthier.core.records import JsonObject
from luthier.model.wire import CUT, LONGEST_ANSWER_CHARACTERS, BadReply, call_text, completion_of, read_piece, whole


class Answer:
    """An answer as its pieces come; `BadReply` where one is an error, or they end too early."""

    def __init__(self, request_id: str) -> None:
        self._id = request_id
        self._text = ""
        self._reason: str | None = None
        self._usage = (0, 0)
        self._calls: dict[int, JsonObject] = {}

    @property
    def has_begun(self) -> bool:
        """Whether a part of the answer is known."""
        return bool(self._text or self._calls or self._reason)

    def take(self, piece: JsonObject) -> list[TokenEvent]:
        """What one piece adds."""
        choice, self._usage = read_piece(piece, self._usage)
        if choice is None:
            return []
        if "message" in choice:
            return self._take_whole(piece, choice)
        if choice.get("finish_reason"):
            self._reason = _reason(choice["finish_reason"])
        delta = choice.get("delta") or {}
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            # Some endpoints number no calls, and tell each whole.
            index = max(self._calls, default=-1) + 1 if call.get("index") is None else int(call["index"])
            own = self._calls.setdefault(index, {"name": "", "arguments": ""})
            own["name"] += function.get("name") or ""
            own["arguments"] += function.get("arguments") or ""
        return self._told(delta.get("content") or delta.get("refusal") or "", choice)

    def _take_whole(self, reply: JsonObject, choice: JsonObject) -> list[TokenEvent]:
        done = completion_of(reply, self._id)
        self._reason = _reason(choice.get("finish_reason") or done.finish_reason)
        return self._told(done.text, choice)

    def _told(self, said: str, choice: JsonObject) -> list[TokenEvent]:
        text = whole(said)[: LONGEST_ANSWER_CHARACTERS - len(self._text)]
        told = tuple(map(_logprob, (choice.get("logprobs") or {}).get("content") or ()))
        self._text += text
        return [TokenEvent(self._id, text, told)] if text or told else []

    def end(self) -> list[GenerationEvent]:
        """The end of the answer; calls of tools follow the text, each as ChatML models write them."""
        if self._reason is None:
            raise BadReply("the answer has no end")
        calls = "\n".join(call_text({"function": call}) for _, call in sorted(self._calls.items()))
        rest = "\n" + calls if calls and self._text else calls
        done = DoneEvent(self._id, self._text + rest, self._reason, *self._usage)
        return [TokenEvent(self._id, rest), done] if rest else [done]


def _reason(told: str) -> str:
    """Ours for an endpoint's reason to end: what is neither cut nor held back has ended by itself."""
    known = told.lower()
    return "length" if known in CUT else "content_filter" if known == "content_filter" else "stop"


def _logprob(told: JsonObject) -> TokenLogprob:
    likely = tuple(LikelyToken(str(one["token"]), float(one["logprob"])) for one in told.get("top_logprobs") or ())
    return TokenLogprob(str(told["token"]), float(told["logprob"]), likely)
