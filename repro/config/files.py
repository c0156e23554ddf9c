"""Hydra's reading of configuration files, each parsed once in a process.

A command composes its configuration several times, and a sweep once a job, from the same few dozen files; Hydra parses
each of them every time, which takes more than what it then does with them. And for every file, it writes down all that
was chosen so far, in case a default's name is made of that (`${stream}`); of most files, none is.
"""

import pickle
from functools import lru_cache
from pathlib import Path

from hydra._internal import defaults_list as defaults
from hydra._internal.core_plugins import file_config_source as hydras
from hydra._internal.core_plugins import importlib_resources_config_source as packages
from hydra._internal.defaults_list import Overrides
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.default_element import InputDefault
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig


class FileConfigSource(hydras.FileConfigSource):
    """Hydra's own, which keeps what it parsed of a file that nobody has touched since. By its name, Hydra takes it for
    the one that it would register itself."""

    def load_config(self, config_path: str) -> ConfigResult:
        try:
            status = Path(self.path, self._normalize_file_name(config_path)).stat()
        except OSError:
            return super().load_config(config_path)  # which says what is wrong
        parsed = _parsed(self.provider, self.path, config_path, status.st_ino, status.st_mtime_ns, status.st_size)
        found: ConfigResult = pickle.loads(parsed)  # Hydra changes what it gets
        return found


class ImportlibResourcesConfigSource(packages.ImportlibResourcesConfigSource):
    """As that, of files of an installed package, as Hydra's own are: those do not change."""

    def load_config(self, config_path: str) -> ConfigResult:
        found: ConfigResult = pickle.loads(_packaged(self.provider, self.path, config_path))
        return found


@lru_cache(maxsize=1024)
def _parsed(provider: str, path: str, config_path: str, *_stamp: int) -> bytes:
    return pickle.dumps(hydras.FileConfigSource(provider, path).load_config(config_path))


@lru_cache(maxsize=1024)
def _packaged(provider: str, path: str, config_path: str) -> bytes:
    return pickle.dumps(packages.ImportlibResourcesConfigSource(provider, f"pkg://{path}").load_config(config_path))


def parse_once() -> None:
    """To be called before Hydra is asked for anything; later, it parses as it does by itself."""
    SourcesRegistry.instance().register(FileConfigSource)
    SourcesRegistry.instance().register(ImportlibResourcesConfigSource)
    defaults._create_interpolation_map = _known_where_needed


_known = defaults._create_interpolation_map
_nothing = DictConfig({})


def _known_where_needed(overrides: Overrides, defaults_list: list[InputDefault], self_added: bool) -> DictConfig:
    """Hydra's own, asked where a default of the file has a name to make."""
    if any(each.is_interpolation() for each in defaults_list):
        return _known(overrides, defaults_list, self_added)
    return _nothing
