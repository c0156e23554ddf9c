"""Any file of a store or a ledger, damaged in any way: found by name, quarantined, made again, the same in the end."""

import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stops import StopAfter
from torture.common import differences, overrides

from repro import export, train
from repro import plan as plan_command
from repro.common.errors import Preempted
from repro.planning import frozen, planner, sweeps
from repro.planning.tree import Tree
from repro.results import ledger
from repro.store import __main__ as store_command
from repro.store import tables, upkeep
from repro.store.store import Store
from repro.training.worker import Worker

Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[random.Random(len(data)).randrange(len(data))] ^= 0x04
    path.write_bytes(data)


DAMAGES: dict[str, Damage] = {
    "flip": flip,
    "truncate": lambda path: path.write_bytes(path.read_bytes()[:-1]) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "remove": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir(), None)[-1],
}


class Half:
    """A sweep that was stopped half way, with all kinds of files, and the same one undisturbed."""

    def __init__(self, base: Path, data: Path) -> None:
        self.base, self.data = base, data
        self.undisturbed = base / "undisturbed"
        train.main(self.given(self.undisturbed))
        self.tree: Tree = planner.make(sweeps.compose(self.given(self.undisturbed))).tree
        self.ends = sorted({key for ends in self.tree.ends for key in ends})
        place = base / "half"
        store = Store(place / "store")
        half = planner.make(sweeps.compose(self.given(place)))
        name = frozen.freeze(half, store)
        tree = half.tree
        with pytest.raises(Preempted):
            Worker(tree, 0, store, StopAfter(230)).work()
        ledger.write(half, store)
        assert store.plans() == [name]
        assert list(upkeep.damage(store)) == []

    def given(self, place: Path) -> list[str]:
        return overrides(place, self.data, "headline", "stream.versions=2")

    def copy(self, place: Path) -> Path:
        shutil.copytree(self.base / "half", place / "copy")
        return place / "copy"

    def finish(self, place: Path) -> list[str]:
        """Run the sweep; how its end differs from the undisturbed one."""
        train.main(self.given(place))
        return differences(self.undisturbed, place, self.ends)


def files(place: Path) -> list[Path]:
    """All that were written to be kept."""
    return sorted(
        path.relative_to(place)
        for folder in ("store/checkpoints", "store/partial", "store/results", "store/plans", "ledger")
        for path in (place / folder).rglob("*")
        if path.is_file()
    )


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, data_path: Path) -> Half:
    return Half(tmp_path_factory.mktemp("damage"), data_path)


def trained(given: list[str]) -> object:
    """The exit status of a sweep."""
    try:
        train.main(given)
    except SystemExit as status:
        return status.code
    return 0


def found(place: Path) -> set[Path]:
    store = Store(place / "store")
    damaged = [*upkeep.damage(store), *tables.damage(place / "ledger")]
    return {path.relative_to(place) for path, _ in damaged}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_file_is_found_by_name(half: Half, tmp_path: Path, damage: str) -> None:
    place = half.copy(tmp_path)
    kinds = {path.parts[:2] for path in files(place)}
    assert kinds >= {("store", name) for name in ("checkpoints", "partial", "results", "plans")}
    for path in files(place):
        if damage == "remove" and path.parts[1] in ("results", "plans", tables.SUMS):
            continue  # nothing says that it was ever there: it counts as not made yet
        before = (place / path).read_bytes()
        DAMAGES[damage](place / path)
        culprits = {path, path.parent}
        if path.name == tables.SUMS:
            culprits |= {each for each in files(place) if each.parts[0] == "ledger"}
        assert found(place) & culprits, path
        if (place / path).is_dir():
            (place / path).rmdir()
        (place / path).write_bytes(before)
    assert found(place) == set()


SLOW = pytest.mark.slow
"""Both ways to repair are tried without them, and torture does all damage to each file."""


@pytest.mark.parametrize(
    ("damage", "repair"),
    [
        ("flip", False),
        ("remove", True),
        pytest.param("truncate", True, marks=SLOW),
        pytest.param("empty", False, marks=SLOW),
    ],
)
def test_what_was_damaged_is_made_again_and_ends_the_same(
    half: Half, tmp_path: Path, damage: str, repair: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file of each kind at once."""
    place = half.copy(tmp_path)
    chance = random.Random(damage)
    kinds: dict[tuple[str, ...], list[Path]] = {}
    for path in files(place):
        kinds.setdefault((*path.parts[:2], path.name if "results" not in path.parts else ""), []).append(path)
    del kinds["ledger", tables.SUMS, tables.SUMS]  # with it and a table damaged at once, nobody knows what was right
    for paths in kinds.values():
        DAMAGES[damage](place / chance.choice(paths))
    at = f"store.path={place / 'store'}"
    if not repair:
        assert trained(half.given(place)) in (0, 1)  # 1: a parent was damaged, say, and the message says what is left
        assert "quarantined" in capsys.readouterr().err
    if found(place):
        with pytest.raises(SystemExit) as status:
            store_command.main(["verify", at])
        assert status.value.code == 1
        assert "damaged: " in capsys.readouterr().out
    store_command.main(["repair", at])
    assert list(upkeep.damage(Store(place / "store"))) == []
    assert half.finish(place) == []
    assert found(place) == set()
    store_command.main(["verify", at])


@pytest.mark.torture
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_each_single_file_ends_the_same(half: Half, tmp_path: Path, damage: str) -> None:
    for number, path in enumerate(files(half.base / "half")):
        (tmp_path / str(number)).mkdir()
        place = half.copy(tmp_path / str(number))
        DAMAGES[damage](place / path)
        store_command.main(["repair", f"store.path={place / 'store'}"])
        assert half.finish(place) == [], path
        shutil.rmtree(tmp_path / str(number))


def test_pickles_planted_anywhere_are_never_executed(half: Half, tmp_path: Path) -> None:
    place = half.copy(tmp_path)
    witness = tmp_path / "executed"

    class Malice:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (witness,)

    planted = pickle.dumps(Malice())
    folders = [path for path in (place / "store", *(place / "store").rglob("*"), place / "ledger") if path.is_dir()]
    for folder in folders:
        for name in (
            "model.bin",
            "pytorch_model.bin",
            "optimizer.pt",
            "x.pkl",
            "x.npy",
            "x.json",
            "x.csv",
            "x.safetensors",
        ):
            (folder / name).write_bytes(planted)
    for path in files(place)[::3]:
        if path.name != tables.SUMS:  # without checksums, a table of other columns is somebody's: refused
            (place / path).write_bytes(planted)
    at = f"store.path={place / 'store'}"
    plan_command.main(half.given(place))
    for verb in ("ls", "du", "gc", "repair"):
        store_command.main([verb, at])
    assert half.finish(place) == []
    export.main([*half.given(place), f"output={tmp_path / 'models'}"])
    assert not witness.exists()
    pickle.loads(planted)
    assert witness.exists(), "the bait works"
