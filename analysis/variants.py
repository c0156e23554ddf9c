"""What most runs of a setting share of a schedule's and a recipe's settings; runs with others are variants.

A schedule's rates and a recipe's alpha make no other setting: such runs are compared, side by side, under another name.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from analysis import best as best_rates
from analysis import names, reading, readings
from analysis.best import AS_PUBLISHED, PTFS, Best
from analysis.formats import text
from analysis.registries import STUDIES, pooled
from repro.config.registries import RECIPES, SCHEDULES
from repro.results.columns import settings_of

SCHEDULE = ("max_lr", "min_lr", "warmup_steps")
"""What belongs to a schedule."""
OF_SCHEDULE = "schedule."
"""Before a setting that one schedule has and others lack, in the column `settings`."""
RECIPE = ("carry_optimizer", "settings")
"""What belongs to a recipe; `settings` are its own, by name."""


class Usual:
    """What most runs of a setting share of a schedule's and a recipe's settings; those with others are variants."""

    def __init__(
        self, rows: pd.DataFrame, reading: str = "", best: Sequence[Best] = (), *, own_best: bool = False,
        default: Callable[[str], Mapping[str, float]] = lambda schedule: {},
    ):  # fmt: skip
        """
        Args:
            rows: runs of one setting, by study.
            reading: of the branch, which is the usual one then.
            best: each recipe's best maximum; PTFS's under a cosine is the one that all share.
            own_best: whether runs at a recipe's own best maximum are the usual ones, by study, where it has any.
            default: a schedule's settings where nothing else is said: the usual ones among equally many.
        """
        self._reading = reading
        shared = best_rates.shared(list(best))
        plain = rows[~rows["study"].isin(sweepers(SCHEDULE))]
        self.rates = (
            _most_common(plain, SCHEDULE, default) or _most_common(rows, SCHEDULE) or dict.fromkeys(SCHEDULE, "")
        )
        groups = [rows, plain, *([] if shared is None else [plain[plain["max_lr"] == shared]])]
        kinds = [pair for group in groups for pair in group.groupby("schedule")]
        self._schedules = {str(kind): _most_common(group, SCHEDULE, default) for kind, group in kinds}
        self._own_schedules = _schedules_own(rows)
        self._recipes: dict[tuple[str, str], Counter[object]] = {}
        records = rows.to_dict("records")
        self._written: dict[str, set[str]] = {}
        for row in records:
            self._written.setdefault(str(row["paradigm"]), set()).update(_written(row))
        for row in records:
            sweeps = STUDIES[str(row["study"])].sweeps
            for name, value in self._whole(row).items():
                if name not in sweeps:
                    self._recipes.setdefault((str(row["paradigm"]), name), Counter())[value] += 1
        self._chosen: dict[tuple[str, str, str], float] = {}
        self.lacking: list[tuple[str, Best]] = []
        """Recipes of which a study (`group`) has runs, and none at their own best maximum."""
        for one in best if own_best else ():
            self._choose(one, rows)

    def _choose(self, one: Best, rows: pd.DataFrame) -> None:
        """Take a recipe's own best maximum where there are runs at it, study by study."""
        if one.reading and one.reading != self.own(one.recipe, readings.SETTING):
            return
        mine = rows[(rows["schedule"] == one.schedule) & (rows["paradigm"] == one.recipe)]
        mine = mine[~mine["study"].isin(sweepers(SCHEDULE))]
        if one.reading and len(mine):
            mine = mine[[_own(row).get(readings.SETTING) == one.reading for row in mine.to_dict("records")]]
        for name, runs in mine.groupby(mine["study"].map(group)):
            if np.isclose(runs["max_lr"], one.max_lr).any():
                self._chosen[str(name), one.schedule, one.recipe] = one.max_lr
            else:
                self.lacking.append((str(name), one))

    def own(self, recipe: str, name: str) -> object:
        """A recipe's usual setting, its default among equals; None where it has none, or only studies that vary it."""
        if (recipe, name) in AS_PUBLISHED:
            return AS_PUBLISHED[recipe, name]
        counts = self._recipes.get((recipe, name))
        if counts and self._reading and (recipe, name) == (readings.RECIPE, readings.SETTING):
            return self._reading
        default = getattr(RECIPES.get(recipe), name, "")
        default = str(default).lower() if isinstance(default, bool) else str(default)
        return min(counts, key=lambda value: (-counts[value], value != default, str(value))) if counts else None

    def name_variants(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows` with the name of each recipe and schedule whose settings are not the usual ones."""
        records = rows.to_dict("records")
        return rows.assign(
            paradigm=[self._recipe(row) for row in records],
            schedule=[self._schedule(row) for row in records],
            settings=[" ".join(f"{name}={value}" for name, value in self._telling(row).items()) for row in records],
        )

    def _telling(self, row: dict[Hashable, Any]) -> dict[str, object]:
        """A recipe's own settings that are not usual, or varied on purpose."""
        kind, sweeps = str(row["paradigm"]), _sweeps(row)
        if sweeps is None:
            return _written(row)
        own = {name: value for name, value in self._whole(row).items() if name != "carry_optimizer"}
        telling = {name: value for name, value in own.items() if name in sweeps or value != self.own(kind, name)}
        return telling | {name: value for name, value in _of_schedule(row).items() if name in sweeps}

    def _recipe(self, row: dict[Hashable, Any]) -> str:
        kind, sweeps = str(row["paradigm"]), _sweeps(row)
        if sweeps is None:
            return kind
        own = self._whole(row)
        usual = {name: self.own(kind, name) for name in own if name not in sweeps}
        differs = [f"{n}={v}" for n, v in own.items() if usual.get(n) is not None and v != usual[n]]
        return names.variant(kind, differs)

    def _whole(self, row: dict[Hashable, Any]) -> dict[str, object]:
        """As `_own`, with the defaults of settings that only others of its recipe have: some, as a share of replay, are
        written where they are not the default."""
        own, kind = _own(row), str(row["paradigm"])
        if not row["settings"]:  # of a ledger from before there was such a column
            return own
        unwritten = self._written.get(kind, set()) - own.keys() - {readings.SETTING}
        fields = {name: getattr(RECIPES.get(kind), name, None) for name in sorted(unwritten)}
        return own | {name: reading.canonical(str(value)) for name, value in fields.items() if value is not None}

    def _schedule(self, row: dict[Hashable, Any]) -> str:
        kind, sweeps, usual = str(row["schedule"]), _sweeps(row), self._schedules.get(str(row["schedule"]), {})
        if sweeps is None or not usual:
            return kind
        recipe = self._recipe(row).split(names.VARIANT)
        if recipe[0] == PTFS or len(recipe) == 1:  # PTFS's twin and its control take its maximum
            rate = self._chosen.get((group(str(row["study"])), kind, recipe[0]), usual["max_lr"])
            usual = usual | {"max_lr": rate, "min_lr": usual["min_lr"] * rate / usual["max_lr"]}
        differs = [name for name in SCHEDULE if name not in sweeps and not np.isclose(row[name], usual[name], 1e-9, 0)]
        if {"max_lr", "min_lr"} <= set(differs) and np.isclose(
            row["min_lr"] * usual["max_lr"], usual["min_lr"] * row["max_lr"]
        ):
            differs.remove("min_lr")  # the same share of the maximum
        own = _of_schedule(row)
        more = [
            f"{name.removeprefix(OF_SCHEDULE)}={own.get(name, _default(kind, name))}"
            for name, usual_value in sorted(self._own_schedules.get(kind, {}).items())
            if name not in sweeps and own.get(name, "") != usual_value
        ]
        return names.variant(kind, [*(f"{name}={text(row[name])}" for name in differs), *more])


def group(study: str) -> str:
    """Studies whose runs are compared together: those of the main comparison, or one by itself."""
    return "the main comparison" if study in pooled() else study


def sweepers(columns: Sequence[str]) -> list[str]:
    """Studies that vary any of `columns` on purpose."""
    return [name for name, study in STUDIES.items() if set(columns) & set(study.sweeps)]


def _sweeps(row: dict[Hashable, Any]) -> tuple[str, ...] | None:
    """What a run's study varies on purpose; None: nothing registered it, and it may vary anything."""
    study = STUDIES.get(str(row["study"]))
    return study.sweeps if study else None


def _written(row: dict[Hashable, Any]) -> dict[str, object]:
    """A recipe's own settings, and its schedule's, as the ledger has them."""
    return dict(_read(str(row["settings"])))


@lru_cache(maxsize=4096)
def _read(settings: str) -> tuple[tuple[str, object], ...]:
    """Many runs have the same."""
    return tuple((name, reading.canonical(value)) for name, value in settings_of(settings).items())


def _of_schedule(row: dict[Hashable, Any]) -> dict[str, object]:
    """What belongs to a run's schedule alone and is not its default."""
    return {name: value for name, value in _written(row).items() if name.startswith(OF_SCHEDULE)}


def _schedules_own(rows: pd.DataFrame) -> dict[str, dict[str, object]]:
    """By schedule, what most of its runs have of the settings that only it has; empty for its default."""
    counts: dict[str, dict[str, Counter[object]]] = {}
    records = rows.to_dict("records")
    for row in records:
        for name in _of_schedule(row):
            counts.setdefault(str(row["schedule"]), {}).setdefault(name, Counter())
    for row in records:
        for name, count in counts.get(str(row["schedule"]), {}).items():
            if name not in (_sweeps(row) or ()):
                count[_of_schedule(row).get(name, "")] += 1
    return {kind: {name: _leading(count) for name, count in each.items()} for kind, each in counts.items()}


def _leading(counts: Counter[object]) -> object:
    """The most common value, the default among equals."""
    return min(counts, key=lambda value: (-counts[value], value != "", str(value)), default="")


def _default(schedule: str, name: str) -> object:
    return reading.canonical(str(getattr(SCHEDULES.get(schedule), name.removeprefix(OF_SCHEDULE), "default")))


def _own(row: dict[Hashable, Any]) -> dict[str, object]:
    """What belongs to a run's recipe, by name; no reading of the branch where both are one training."""
    own = {name: value for name, value in _written(row).items() if not name.startswith(OF_SCHEDULE)}
    if row["paradigm"] == readings.RECIPE and not readings.differ(str(row["schedule"])):
        own.pop(readings.SETTING, None)
    return own | ({"carry_optimizer": row["carry_optimizer"]} if row["carry_optimizer"] else {})


def _most_common(
    rows: pd.DataFrame, columns: Sequence[str], default: Callable[[str], Mapping[str, float]] = lambda schedule: {}
) -> dict[str, Any]:
    """The combination that most rows share, among equals their schedule's default or else the lowest; empty where there
    are no rows."""
    counts = rows.groupby(list(columns)).size()
    leading = [dict(zip(columns, each, strict=True)) for each in counts.index[counts == counts.max()]]
    usual = default(str(rows["schedule"].iloc[0])) if len(leading) > 1 else {}
    theirs = (
        each for each in leading if usual and all(np.isclose(each[name], usual[name], 1e-9, 0) for name in columns)
    )
    return next(theirs, leading[0]) if leading else {}
