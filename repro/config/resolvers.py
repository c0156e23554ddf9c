"""What configurations may compute: `${tenth:...}`, `${names:...}`, `${entry:...}`, `${upto:...}`, exact or refused."""

from omegaconf import ListConfig, OmegaConf

from repro.common.errors import UserError


def tenth(steps: object) -> int:
    """A tenth of T, or of version 1's where each version has its own: a warm-up that follows T.

    Raises:
        UserError: it is no whole number of steps.
    """
    first = steps[0] if isinstance(steps, ListConfig | list | tuple) and len(steps) else steps
    if not isinstance(first, int) or first % 10:
        raise UserError(
            f"stream.steps_per_version={first}: this study's warm-up is a tenth of it, and that must be a whole number "
            "of steps; a multiple of 10 works, or a schedule.warmup_steps of your own."
        )
    return first // 10


def names(table: str) -> str:
    """Of a table `a=1,b=2`, the names: `a,b`."""
    return ",".join(_read(table))


def entry(table: str, name: str) -> int:
    """Of a table `a=1,b=2`, the whole number that a name has.

    Raises:
        UserError: it has none.
    """
    known = _read(table)
    if name not in known:
        raise UserError(f"{name} is not in the table {table} of this scale; it has {', '.join(known)}.")
    return known[name]


def upto(first: int, last: object) -> list[int] | None:
    """The versions from `first` to the stream's last; nothing where how many there are is not known yet."""
    return list(range(first, last + 1)) if isinstance(last, int) else None


def _read(table: str) -> dict[str, int]:
    try:
        pairs = (pair.split("=") for pair in table.split(","))
        return {name.strip(): int(number) for name, number in pairs}
    except ValueError:
        raise UserError(f"{table!r} is no table of names and whole numbers; one looks like a=1,b=2.") from None


RESOLVERS = {resolver.__name__: resolver for resolver in (tenth, names, entry, upto)}


def register() -> None:
    """Make them known to OmegaConf; again does no harm."""
    for name, resolver in RESOLVERS.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)
