"""A store, its data and its ledger of two users of a group; moved; and read-only."""

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dumps import text

from repro import export, plan, train
from repro.store import __main__ as store_command

GROUP, ONE, OTHER = 51000, 51001, 51002
SMALL = ["scale=smoke", "stream.versions=2", "stream.steps_per_version=5", "schedule.warmup_steps=1", "corpus=local"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becomes two other users")


@pytest.fixture
def ours() -> Iterator[Path]:
    """A folder of the group's, in which what is made is the group's."""
    place = Path(tempfile.mkdtemp())
    os.chown(place, 0, GROUP)
    place.chmod(0o2775)
    (place / "texts").mkdir()
    for number in range(60):
        (place / "texts" / f"{number}.txt").write_text(text(1, number))
    yield place
    shutil.rmtree(place)


def typed(user: int, main: Callable[[list[str]], object], *given: str) -> tuple[int, str, str]:
    """Have a user of the group carry out a command, under the umask of people who share: status, output, messages.

    In a copy of this process, which has imported all that those users may not read where it lies.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        if not (child := os.fork()):
            code = 99
            try:
                os.setgroups([])
                os.setresgid(GROUP, GROUP, GROUP)
                os.setresuid(user, user, user)
                os.umask(0o002)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
                main(list(given))
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return status, out.read(), err.read()


def words(place: Path, *more: str) -> list[str]:
    places = [f"{name}.path={place / name}" for name in ("store", "data", "ledger")]
    return [*SMALL, f"corpus.path={place / 'texts'}", *places, *more]


def steps(user: int, given: list[str]) -> tuple[int, int]:
    """Steps that are stored, and all there are."""
    status, out, err = typed(user, plan.main, *given, "output=json")
    assert status == 0, err
    summary = json.loads(out)
    return summary["stored_steps"], summary["unique_steps"]


def test_two_users_of_a_group_go_on_with_each_others_work_wherever_it_is_moved(ours: Path, tmp_path: Path) -> None:
    alone = [each.replace(str(ours), str(tmp_path)) for each in words(ours, "paradigm=cpt")]
    shutil.copytree(ours / "texts", tmp_path / "texts")
    train.main(alone)
    export.main([*alone, f"output={tmp_path / 'models'}"])
    plan.main(alone)

    status, _, err = typed(ONE, train.main, *words(ours, "paradigm=cpt"))
    assert status == 0, err
    status, _, err = typed(OTHER, train.main, *words(ours, "paradigm=ptfs,cpt", "-m"))
    assert status == 0, err
    assert {path.stat().st_uid for path in (ours / "store").rglob("*.safetensors")} == {ONE, OTHER}
    for path in ours.rglob("*"):
        if "texts" not in path.parts:
            assert path.stat().st_gid == GROUP
            assert path.stat().st_mode & 0o060 == 0o060, f"{path}: {path.stat().st_mode:o}"
    assert (ours / "ledger" / "runs.csv").read_text().count("\n") == 3

    moved = ours / "moved"
    moved.mkdir()
    for name in ("store", "data", "ledger", "texts"):
        (ours / name).rename(moved / name)
    both = words(moved, "paradigm=ptfs,cpt", "-m")
    stored, unique = steps(ONE, both)
    assert stored == unique > 0

    for path in (moved, *moved.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    assert steps(OTHER, both) == (stored, unique)
    status, out, err = typed(OTHER, store_command.main, "verify", f"store.path={moved / 'store'}")
    assert (status, "0 damaged" in out) == (0, True), out + err
    status, out, err = typed(OTHER, export.main, *both, "version=2", f"output={ours / 'models'}")
    assert status == 0, err
    assert len(out.splitlines()) == 2
    status, _, err = typed(OTHER, train.main, *words(moved, "paradigm=cpt", "seed=5"))
    assert (status, "Traceback" in err) == (2, False), err
    assert str(moved / "store") in err
