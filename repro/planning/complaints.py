"""Hydra's and OmegaConf's complaints in this suite's words: what was typed, and what was probably meant."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import SequenceMatcher
from typing import Any

from repro.common.errors import UserError
from repro.common.packages import remedy
from repro.common.registry import nearest, suggestion
from repro.config.resolve import check_name
from repro.planning.places import quoted

QUOTING = (
    "Overrides look like group=option or setting=value; a value with characters such as = , # ' & [ ] ( ) or others "
    "beyond ASCII stands in quotes within quotes: 'corpus.path=\"my folder (2)\"'."
)

NO_SWEEPER = (
    "a sweeper that chooses its runs on the way is not supported, since a sweep is checked as a whole before anything "
    "is trained. Leave hydra/sweeper out, and list the values: seed=0,1,2."
)


@contextmanager
def translated(
    overrides: Sequence[str], names: Iterable[str] = (), others: Callable[[], Mapping[str, Sequence[str]]] = dict
) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise over these overrides into a `UserError` where there is more to say.

    They choke on odd values with errors of every kind; each of them means what was given.

    Args:
        names: settings and groups that there are.
        others: settings of whatever could be chosen, each with the choices that have it.
    """
    from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

    try:
        yield
    except UserError:
        raise
    except OverrideParseException as error:
        raise _unreadable(str(error.override)) from None
    except MissingConfigException as error:
        raise _missing_option(error, overrides) from None
    except ConfigCompositionException as error:
        unknown = re.match(r"Could not (override|append|delete)[^']*'([^'@]+)", str(error))
        if unknown is None:
            if (typed := re.match(r"Error merging override \+*(([^=]+)=.*)", str(error))) is None:
                raise
            raise UserError(f"{typed[1]}: {str(error.__cause__).splitlines()[0]}.", works={typed[2]: None}) from None
        if unknown[1] == "append":
            raise UserError(
                f"+{unknown[2]}: {unknown[2]} is there, and is set without a plus.", meant={unknown[2]: unknown[2]}
            ) from None
        raise _unknown(unknown[2], names, others) from None
    except (ConfigKeyError, ConfigAttributeError) as error:  # of what was added with a plus
        if not error.full_key:
            raise
        raise _unknown(str(error.full_key), names, others) from None
    except (HydraException, OmegaConfBaseException):
        raise
    except Exception as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        hint = f" {QUOTING}" if type(error).__name__.startswith("Lexer") else ""
        raise UserError(f"{' '.join(overrides)}: {said}{hint}") from None


def _unreadable(override: str) -> UserError:
    name, _, value = override.partition("=")
    if re.search(r"^,|,,|,$", value) and (elements := [each for each in value.split(",") if each]):
        kept = ",".join(elements)
        return UserError(
            f"{override}: a comma stands between values, and one is missing here; {name}={kept} works.",
            works={name: kept},
        )
    works = {name.lstrip("+~"): quoted(value) if re.fullmatch(r"\w+(\.\w+)+", name) and value else None}
    return UserError(f"{override} cannot be read. {QUOTING}", works=works)


def _missing_option(error: Any, overrides: Sequence[str]) -> Exception:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if "submitit_" in option:
        typed = [each for each in overrides if each.startswith("hydra/launcher=")]  # ours is made of submitit's
        name = typed[-1] if typed else f"{group}={option}"
        return UserError(f"{name}: that launcher comes with {remedy('slurm')}.", works={"hydra/launcher": None})
    if group == "hydra/sweeper":
        return UserError(f"{group}={option}: {NO_SWEEPER}", works={group: None})
    if not group or not error.options:
        return UserError(str(error).splitlines()[0])
    options = [each for each in error.options if each != "base"]  # what a group's files share
    return UserError(
        f"{group}={option} is unknown; {suggestion(option, options)}choose one of {', '.join(options)}.",
        works={group: nearest(option, options)},
    )


ELSEWHERE = {
    "dry_run": "repro.plan, with the same arguments, says what would be done and what it would cost.",
    "output": "other commands have it (repro.plan, repro.export, ...), and this one has not.",
    "figure": "repro.plan, with the same arguments, draws learning rates there.",
}
"""What options of some commands are to the others."""


LIKE, MUCH_ALIKE = 0.65, 0.8
"""Likenesses of two names from which one is taken for the other, with the same first letter and without."""


def _unknown(setting: str, names: Iterable[str], others: Callable[[], Mapping[str, Sequence[str]]] = dict) -> UserError:
    check_name(setting)
    if setting in ELSEWHERE:
        return UserError(f"{setting} is no setting; {ELSEWHERE[setting]}", works={setting: None})
    known = sorted(names)
    if choices := others().get(setting):
        said = f"{setting} is a setting of {', '.join(choices)}, and of nothing that is chosen here."
        return UserError(said, works={setting: None})
    if near := _meant(setting, {*known, *others()}):
        near = [each for each in near if each in known] or near
        said = f"{setting} is unknown; did you mean {' or '.join(near)}?"
        group, chosen, option = near[0].partition("=")
        if chosen or len(near) > 1:
            return UserError(said, works={setting: None} | ({group: option} if chosen else {}))
        return UserError(said, meant={setting: near[0]})
    group = setting.rpartition(".")[0]
    inside = [
        name for name in known if group and name.startswith(f"{group}.") and name.count(".") == setting.count(".")
    ]
    there = f"; {group} has {', '.join(name.rpartition('.')[2] for name in inside)}" if inside else ""
    return UserError(f"{setting} is unknown{there}.", works={setting: None})


def _meant(setting: str, known: Iterable[str]) -> list[str]:
    """What is spelled most nearly so, if anything is; a study where no setting is nearer.

    The name itself counts more than the group it was typed with, and a first letter is rarely mistyped: `alfa` is
    `paradigm.alpha`, and `hedline` is not `schedule`.
    """
    group, _, name = setting.rpartition(".")
    near: dict[str, float] = {}
    for each in known:
        its_group, study, its_name = each.rpartition("=" if "=" in each else ".")
        first = each.partition(".")[0]
        if first == "sweep" or (first == "hydra" and not setting.startswith("hydra.")):  # of studies, and of Hydra
            continue
        part = name in its_name.split("_")
        alike = max(_likeness(name, its_name), LIKE * part)
        if alike >= (LIKE if part or name[:1] == its_name[:1] else MUCH_ALIKE):
            near[each] = alike + _likeness(group, its_group) / 4 - (study == "=") / 10
    return sorted(each for each in near if near[each] == max(near.values()))


def _likeness(one: str, other: str) -> float:
    """1 for the same, 0 for nothing in common."""
    return SequenceMatcher(None, one, other).ratio()


def settings_of(config: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """Names of all settings and groups of a composed configuration."""
    for name in config:
        yield f"{prefix}{name}"
        value = config._get_node(name) if hasattr(config, "_get_node") else config[name]
        if isinstance(value, Mapping) or type(value).__name__ == "DictConfig":
            yield from settings_of(value, f"{prefix}{name}.")
