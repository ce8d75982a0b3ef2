"""Orders of a small shop: what was bought, and what it costs with tax."""

TAX_RATE = 0.19


class EmptyOrder(ValueError):
    """An order without a line was to be paid."""


class Order:
    """Lines of goods for one customer. Prices are in cents."""

    def __init__(self, customer: str) -> None:
        self.customer = customer
        self.lines: list[tuple[str, int]] = []

    def add(self, name: str, price_cents: int) -> None:
        """Puts one piece of goods on the order; the same piece may be added more than once."""
        if price_cents < 0:
            raise ValueError("a price cannot be negative")
        self.lines.append((name, price_cents))

    def total(self) -> int:
        """The sum to be paid in cents, with tax, rounded half up at the end and not line by line.

        Raises EmptyOrder where nothing was added.
        """
        if not self.lines:
            raise EmptyOrder(self.customer)
        net = sum(price for _, price in self.lines)
        return with_tax(net)


def with_tax(net_cents: int, rate: float = TAX_RATE) -> int:
    """The gross amount of a net amount in cents. The rate is a share, 0.19 for nineteen per cent."""
    gross = net_cents * (1 + rate)
    return int(gross + 0.5)


def receipt(order: Order) -> str:
    """A receipt in plain text: a line for each piece, the total last, amounts in whole euros and cents."""
    rows = [f"{name}: {price / 100:.2f}" for name, price in order.lines]
    rows.append(f"total: {order.total() / 100:.2f}")
    return "\n".join(rows)
