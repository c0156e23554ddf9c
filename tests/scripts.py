"""The command lines of the scripts of `tests/bench` and `tests/torture`."""

from collections.abc import Mapping, Sequence


def options(document: str | None, arguments: Sequence[str], defaults: Mapping[str, str]) -> dict[str, str]:
    """`name=value` arguments over defaults; --help prints the document and ends the process."""
    if {"-h", "--help"} & set(arguments):
        print((document or "").strip())
        print("\nOptions:", *(f"{name}={value}" for name, value in defaults.items()))
        raise SystemExit(0)
    chosen = dict(defaults)
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name not in defaults or not equals:
            raise SystemExit(f"{argument} is no option; there are {', '.join(f'{each}=' for each in defaults)}.")
        chosen[name] = value
    return chosen
