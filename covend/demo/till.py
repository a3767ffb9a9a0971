"""The project in the demonstration's repository: a shop till, and a change with one planted bug.

Plain text only; `repository` makes commits of it.
"""

from dataclasses import dataclass
from types import MappingProxyType

README = """\
# till

A small library for a shop's till: prices in whole cents, a basket, a receipt.

    >>> from till.basket import Basket
    >>> basket = Basket()
    >>> basket.add("tea", 349, quantity=2)
    >>> basket.total()
    698

Run the tests with `python -m pytest`.
"""

PYPROJECT = """\
[project]
name = "till"
version = "0.4.0"
description = "A shop's till: prices in whole cents, a basket, a receipt"
requires-python = ">=3.10"

[tool.pytest.ini_options]
pythonpath = ["src"]
"""

MONEY = '''\
"""Amounts of money are whole cents; floats never enter the till."""


def format_cents(amount: int, currency: str = "EUR") -> str:
    """Write an amount for a receipt, such as `12.05 EUR`."""
    sign = "-" if amount < 0 else ""
    euros, cents = divmod(abs(amount), 100)
    return f"{sign}{euros}.{cents:02} {currency}"


def percentage(amount: int, percent: int) -> int:
    """Take a percentage of an amount, rounded half up to whole cents."""
    return (amount * percent + 50) // 100
'''

BASKET = '''\
"""What a customer is about to buy."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One line of the basket: an article, its price in cents and how many."""

    article: str
    price: int
    quantity: int = 1

    def total(self) -> int:
        """The price of the whole line, in cents."""
        return self.price * self.quantity


@dataclass
class Basket:
    """The lines in the order in which they were scanned."""

    lines: list[Line] = field(default_factory=list)

    def add(self, article: str, price: int, quantity: int = 1) -> None:
        """Put an article into the basket."""
        if quantity < 1:
            raise ValueError("a basket holds at least one of each article")
        self.lines.append(Line(article, price, quantity))

    def total(self) -> int:
        """The sum of all lines, in cents."""
        return sum(line.total() for line in self.lines)
'''

RECEIPT = '''\
"""The slip of paper at the end."""

from till.basket import Basket
from till.money import format_cents


def receipt(basket: Basket) -> str:
    """Write one row for each line and the total below."""
    rows = [f"{line.quantity} x {line.article}  {format_cents(line.total())}"
            for line in basket.lines]
    return "\\n".join([*rows, f"total  {format_cents(basket.total())}"])
'''

TEST_BASKET = """\
from till.basket import Basket


def test_a_new_basket_costs_nothing():
    assert Basket().total() == 0


def test_a_line_counts_as_often_as_its_quantity():
    basket = Basket()
    basket.add("tea", 349, quantity=2)
    assert basket.total() == 698
"""

SCAN = '''\


def scan(codes: list[str], prices: dict[str, int], into: list[Line] = []) -> list[Line]:
    for code in codes:
        if code not in prices:
            raise KeyError(f"no price for {code}")
        into.append(Line(code, prices[code]))
    return into


def scanned_total(lines: list[Line]) -> int:
    """The sum of scanned lines, in cents."""
    return sum(line.total() for line in lines)
'''

TEST_SCAN = """\


def test_scanned_articles_have_their_price():
    lines = scan(["tea", "milk"], {"tea": 349, "milk": 129})
    assert scanned_total(lines) == 478
"""

MAIN_FILES = MappingProxyType(
    {
        "README.md": README,
        "pyproject.toml": PYPROJECT,
        "src/till/__init__.py": '"""A shop\'s till."""\n',
        "src/till/money.py": MONEY,
        "src/till/basket.py": BASKET,
        "src/till/receipt.py": RECEIPT,
        "tests/test_basket.py": TEST_BASKET,
    }
)
"""The default branch."""

PULL_FILES = MappingProxyType(
    {
        "README.md": README.replace(
            "a basket, a receipt.\n", "a basket, a scanner, a receipt.\n", 1
        ),
        "src/till/basket.py": BASKET + SCAN,
        "tests/test_basket.py": TEST_BASKET.replace(
            "import Basket\n", "import Basket, scan, scanned_total\n", 1
        )
        + TEST_SCAN,
    }
)
"""What the pull request changes."""

FIXED_FILES = MappingProxyType(
    {
        "src/till/basket.py": BASKET
        + SCAN.replace(
            "into: list[Line] = []) -> list[Line]:\n",
            "into: list[Line] | None = None) -> list[Line]:\n"
            "    into = [] if into is None else into\n",
        ),
    }
)
"""What an author who heard the review would push next."""

PULL_TITLE = "Scan articles by their code"
PULL_BODY = """\
The new hand scanner gives us codes only, so the till has to find the price itself.

- `scan` turns codes into lines and refuses a code without a price
- a test for the ordinary case
"""
PULL_BRANCH = "scan-by-code"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedBug:
    """Where the bug is, so that a story can tell whether a reviewer found it."""

    path: str
    line: int


def planted_bug() -> PlantedBug:
    """Find the line with the mutable default argument in the pull request's text."""
    path = "src/till/basket.py"
    lines = PULL_FILES[path].splitlines()
    found = next(at for at, line in enumerate(lines, start=1) if line.startswith("def scan("))
    return PlantedBug(path=path, line=found)
