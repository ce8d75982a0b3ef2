"""What a teacher was asked, what that cost, and whether one more request can be paid for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from luthier.config.schema import EndpointSection, PriceSection
from luthier.core.errors import ConfigError, Problem
from luthier.core.records import JsonObject, Message

# What a chat template puts around each turn, at most, as tokens.
_TOKENS_AROUND_A_TURN = 16
# Digits of a row's cost behind the point: a token may cost a millionth.
COST_DIGITS = 9

# Said with their number in front.
ASKED_AGAIN = "requests asked again that were on their way when an earlier run ended; the endpoint may charge for both"

Tokens = tuple[int, int]


def most_tokens(messages: tuple[Message, ...], max_tokens: int) -> Tokens:
    """Tokens in and out that a request costs at most: no token of text is shorter than a byte."""
    text = sum(len(message.content.encode("utf-8", "surrogatepass")) + _TOKENS_AROUND_A_TURN for message in messages)
    return text + _TOKENS_AROUND_A_TURN, max_tokens


@dataclass(slots=True)
class Counted:
    """What one endpoint has replied: `asked` now and `from_journal`, and the tokens in and out of both together.

    `asked_again` are requests that were on their way when an earlier run ended: whether that was charged for, nobody here can know.
    `failed` are requests without a reply, `not_told` replies that do not count their tokens, for which the most that they can be stands.
    What an endpoint charges for tries that it broke off, and that were repeated, no reply tells, and nothing here counts.
    """

    model: str = ""
    base_url: str = ""
    asked: int = 0
    from_journal: int = 0
    asked_again: int = 0
    failed: int = 0
    retries: int = 0
    not_told: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    price: PriceSection | None = None

    def cost(self, price: PriceSection) -> float:
        """The cost at `price` of all replies."""
        return cost_of((self.prompt_tokens, self.completion_tokens), price)


def cost_of(tokens: Tokens, price: PriceSection) -> float:
    """The cost of tokens in and out, in the currency of `price`."""
    return (tokens[0] * price.input + tokens[1] * price.output) / 1e6


@dataclass(slots=True)
class TeacherReport:
    """What teaching came to, for provenance and the log: filled while the rows are made, and true of what was made so far.

    `left_undone` says why not everything was asked, empty where it was. `prompts` are the versions of the prompts in use by task.
    """

    endpoints: dict[str, Counted] = field(default_factory=dict)
    prompts: dict[str, int] = field(default_factory=dict)
    seed: int = 0
    temperature: float = 0.0
    rows: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    chunks: int = 0
    seconds: float = 0.0
    left_undone: str = ""

    @property
    def cost(self) -> float | None:
        """What all replies cost, those of the journal too; None where an endpoint that was asked has no price."""
        used = [counted for counted in self.endpoints.values() if counted.asked or counted.from_journal]
        if any(counted.price is None for counted in used):
            return None
        return sum(counted.cost(counted.price) for counted in used if counted.price is not None)

    @property
    def asked_again(self) -> int:
        """Requests that were on their way when an earlier run ended, and were sent once more."""
        return sum(counted.asked_again for counted in self.endpoints.values())

    @property
    def notes(self) -> list[str]:
        """What a user should know: why not everything was asked, and that no row, or less than half of the replies, could be kept."""
        found = [self.left_undone] if self.left_undone else []
        bad, kept = self.rejected.total(), self.rows.total()
        if 2 * bad > bad + kept:
            why = ", ".join(reason if count == bad else f"{reason} {count:,}" for reason, count in self.rejected.most_common())
            made = "the teacher made no row" if not kept else f"the teacher made {kept:,} row{'s' if kept > 1 else ''}"
            found.append(f"{made}: {bad:,} of {bad + kept:,} replies could not be used ({why})")
        elif not kept and not self.left_undone:
            found.append("the teacher made no row: the source has no piece that is fit to be asked about")
        return found

    def to_json(self) -> JsonObject:
        """The record for provenance: the same for the same rows, whether replies came from the journal or over the wire."""
        endpoints: JsonObject = {
            name: {
                "model": counted.model,
                "base_url": counted.base_url,
                "replies": counted.asked + counted.from_journal,
                "prompt_tokens": counted.prompt_tokens,
                "completion_tokens": counted.completion_tokens,
            }
            for name, counted in sorted(self.endpoints.items())
        }
        return {
            "endpoints": endpoints,
            "prompts": dict(sorted(self.prompts.items())),
            "seed": self.seed,
            "temperature": self.temperature,
            "chunks": self.chunks,
            "rows": dict(sorted(self.rows.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "cost": self.cost,
            "left_undone": self.left_undone,
        }

    def told(self) -> str:
        """The record of this run in one line: what was asked now, what came from the journal, how long it took."""
        parts = [f"{self.rows.total():,} rows kept and {self.rejected.total():,} turned down of {self.chunks:,} chunks"]
        for name, counted in sorted(self.endpoints.items()):
            text = f"`{name}` gave {counted.asked:,} replies and the journal {counted.from_journal:,}"
            text += f", {counted.failed:,} requests stayed without" if counted.failed else ""
            parts.append(text + (f", {counted.retries:,} tries were repeated" if counted.retries else ""))
        if (cost := self.cost) is not None:
            parts.append(f"cost {cost:.4g} with what the journal holds")
        parts.append(f"{self.seconds:.0f} s")
        return "; ".join(parts) + (f"; {self.left_undone}" if self.left_undone else "")


class Ledger:
    """Holds the cost of all requests, those under way at their worst, below `max_cost`; without one it only counts.

    Whether a request can be paid for depends on the requests before it in order alone, not on how fast their replies come.
    """

    def __init__(self, max_cost: float | None, report: TeacherReport) -> None:
        self.max_cost, self.report = max_cost, report
        # Requests that could not be paid for with none under way, and the least that one of them could have cost.
        self.passed_over = 0
        self.least_passed_over = 0.0
        # What failed requests cost is not told; it may be all.
        self._unknown: dict[str, list[Tokens]] = {}
        self._under_way: dict[tuple[str, str], Tokens] = {}

    def enter(self, name: str, endpoint: EndpointSection, where: str) -> Counted:
        """The account of an endpoint; `ConfigError` where a ceiling is set (key `where`) and the endpoint has no price."""
        if self.max_cost is not None and endpoint.price is None:
            hint = (
                f"give it one: `endpoints: {{{name}: {{price: {{input: ..., output: ...}}}}}}`, by a million tokens; or take `max_cost` out"
            )
            what = "a cost ceiling is set, and the endpoint has no price to count by"
            raise ConfigError(Problem(what, where=f"{where}, endpoints.{name}.price", hint=hint))
        return self.report.endpoints.setdefault(name, Counted(price=endpoint.price))

    def can_pay(self, name: str, request: str, most: Tokens, before: Mapping[str, Tokens]) -> bool:
        """Whether `request` of endpoint `name` can be paid for at its worst; then it counts as under way.

        `before` are tokens by endpoint that the journal holds for requests that stand before it, and that are not counted yet.
        """
        if self.max_cost is not None and self._cost(name, most, before) > self.max_cost:
            return False
        self._under_way[name, request] = most
        return True

    def _cost(self, name: str, most: Tokens, before: Mapping[str, Tokens]) -> float:
        sums: dict[str, Tokens] = {name: most}
        for other, counted in self.report.endpoints.items():
            sums[other] = _plus(sums.get(other, (0, 0)), (counted.prompt_tokens, counted.completion_tokens))
        open_ones = [(other, tokens) for (other, _), tokens in self._under_way.items()]
        failed = [(other, tokens) for other, several in self._unknown.items() for tokens in several]
        for other, tokens in (*open_ones, *failed, *before.items()):
            sums[other] = _plus(sums.get(other, (0, 0)), tokens)
        prices = {other: counted.price for other, counted in self.report.endpoints.items()}
        return sum(cost_of(tokens, price) for other, tokens in sorted(sums.items()) if (price := prices[other]) is not None)

    @property
    def left(self) -> float:
        """What the ceiling leaves while nothing is under way; infinite without one."""
        return float("inf") if self.max_cost is None else self.max_cost - self._spent() - self.held_back

    @property
    def held_back(self) -> float:
        """What failed requests may have cost."""
        return sum(self.worth(name, tokens) for name, several in self._unknown.items() for tokens in several)

    def worth(self, name: str, tokens: Tokens) -> float:
        """The cost of tokens at the endpoint `name`; 0 where it has no price."""
        price = self.report.endpoints[name].price
        return 0.0 if price is None else cost_of(tokens, price)

    def pass_over(self, name: str, most: Tokens) -> None:
        """A request is not sent, for at its worst it costs `most`, which the ceiling does not leave."""
        worth = self.worth(name, most)
        self.least_passed_over = min(worth, self.least_passed_over) if self.passed_over else worth
        self.passed_over += 1

    def why_undone(self) -> str:
        """That the ceiling was reached: what was spent, and what the cheapest of the requests left out could have cost."""
        held_back = f", {self.held_back:.4g} is held back for requests without a reply" if self._unknown else ""
        told = f"`max_cost: {self.max_cost:g}` was reached: {self._spent():.4g} was spent{held_back}, "
        return told + f"and one more request could cost {self.least_passed_over:.4g}"

    def _spent(self) -> float:
        return sum(counted.cost(counted.price) for counted in self.report.endpoints.values() if counted.price is not None)

    def paid(self, name: str, request: str, tokens: Tokens, is_told: bool) -> None:
        """A reply to `request` is there."""
        self._under_way.pop((name, request), None)
        counted = self.report.endpoints[name]
        counted.asked += 1
        counted.not_told += not is_told
        self._count(counted, tokens)

    def known(self, name: str, tokens: Tokens) -> None:
        """A reply was taken from the journal."""
        counted = self.report.endpoints[name]
        counted.from_journal += 1
        self._count(counted, tokens)

    def failed(self, name: str, request: str) -> None:
        """No reply to `request` came; what it may have cost is held back."""
        self._unknown.setdefault(name, []).append(self._under_way.pop((name, request), (0, 0)))
        self.report.endpoints[name].failed += 1

    def _count(self, counted: Counted, tokens: Tokens) -> None:
        counted.prompt_tokens += tokens[0]
        counted.completion_tokens += tokens[1]


def _plus(first: Tokens, second: Tokens) -> Tokens:
    return first[0] + second[0], first[1] + second[1]
