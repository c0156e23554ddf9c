"""Shares of a number of steps: exact, never rounded."""

import re
from fractions import Fraction

from repro.common.errors import UserError

STEPS = "stream.steps_per_version"
LONGEST = 100_000
"""Steps of a version that a share may ask for: beyond, it is a fraction that was written as a decimal, cut off."""
MULTIPLE = "multiple"
"""What works in place of T: a multiple of what makes every share of it whole (`step_multiple` of a recipe)."""


def fraction(name: str, value: str) -> Fraction:
    """`value` as an exact fraction.

    Raises:
        UserError: it is no number, or one that is too long or too large for a setting.
    """
    try:
        if len(value) > 40 or re.search(r"e[+-]?\d{3}", value.lower()):
            raise ValueError("too long")
        result = Fraction(value)
        if abs(result) > 10**6 or result.denominator > 10**9:
            raise ValueError("too large")
        return result
    except (ValueError, ZeroDivisionError):
        raise UserError(f"{name}={value!r} is no number; a decimal or a fraction such as 0.6 or 3/5 works.") from None


def same(name: str, one: object, other: object) -> bool:
    """Whether two values of a setting are one: 1/2 and 0.50 are."""
    if one == other or not (isinstance(one, str) and isinstance(other, str)):
        return one == other
    try:
        return fraction(name, one) == fraction(name, other)
    except UserError:  # words
        return False


def whole(name: str, share: str, of: int, unit: str = STEPS, most: int | None = None) -> int:
    """`share` x `of` as an integer; exact, never rounded.

    Args:
        name: the setting that holds `share`, for the message.
        share: a decimal or a fraction, as written ("0.6", "1/2").
        most: the largest product that works, if there is one; the smallest is 1.

    Raises:
        UserError: the product is not whole; the message gives the nearest values that are.
    """
    exact = fraction(name, share)
    product = exact * of
    if product.denominator == 1:
        return product.numerator
    below = product.numerator // product.denominator
    near = [steps for steps in (below, below + 1) if steps > 0 and (most is None or steps <= most)]
    nearest = " or ".join(str(Fraction(steps, of)) for steps in near)
    says = [f"The nearest values that work: {name}={nearest}"] if near else []
    works: dict[str, str | None] = {name: str(Fraction(near[0], of)) if near else None}
    if exact.denominator > LONGEST:
        says.append(f"a fraction is written as one: {name}={exact.limit_denominator(100)}")
    else:
        says.append(f"{'or' if near else 'What works:'} a {unit} that is a multiple of {exact.denominator}")
        works = {STEPS: MULTIPLE} if unit in (STEPS, "cycle") else works
    raise UserError(
        f"{name}={share} times {unit}={of} is {float(product):g} steps, which is not whole. {'; '.join(says)}.",
        works=works,
    )
