"""Configuration files are parsed once in a process, and again when they have changed."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.plugins.config_source import ConfigLoadError

from repro.config.files import FileConfigSource

COUNTS = """
from pathlib import Path
from omegaconf import OmegaConf
from repro.config.places import CONF
from repro.planning.sweeps import compose
load, parsed = OmegaConf.load, []
OmegaConf.load = lambda file: (parsed.append(Path(file.name)), load(file))[1]
compose(["scale=smoke", "study=alpha"])
compose(["scale=smoke", "study=main"])
ours = [path for path in parsed if path.is_relative_to(CONF)]
assert len(ours) == len(set(ours)) > 10, ours
"""


def test_each_file_is_parsed_once() -> None:
    """In a process of its own: a Hydra that was asked for something before keeps its own way."""
    subprocess.run([sys.executable, "-c", COUNTS], check=True)


def test_a_file_that_has_changed_is_read_again_and_nobody_changes_what_was_kept(tmp_path: Path) -> None:
    source, path = FileConfigSource("mine", str(tmp_path)), tmp_path / "one.yaml"
    for seed in (1, 22):
        path.write_text(f"# @package _global_\nseed: {seed}\n")
        for _ in range(2):
            found = source.load_config("one")
            assert (found.config.seed, found.header["package"], found.provider) == (seed, "_global_", "mine")
            found.config.seed = 0
    path.unlink()
    with pytest.raises(ConfigLoadError, match="not found"):
        source.load_config("one")
