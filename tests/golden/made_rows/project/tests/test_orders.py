from src.orders import Order, with_tax


def test_tax_is_rounded_half_up() -> None:
    assert with_tax(50, rate=0.01) == 51
    assert with_tax(100) == 119


def test_a_total_has_tax_once() -> None:
    order = Order("ada")
    order.add("lamp", 1050)
    order.add("bulb", 250)
    assert order.total() == 1547
