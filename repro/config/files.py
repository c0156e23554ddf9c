"""Hydra's reading of configuration files, each parsed once in a process.

A command composes its configuration several times, and a sweep once a job, from the same few dozen files; Hydra parses
each of them every time, which takes more than what it then does with them.
"""

import pickle
from functools import lru_cache
from pathlib import Path

from hydra._internal.core_plugins import file_config_source as hydras
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult


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


@lru_cache(maxsize=1024)
def _parsed(provider: str, path: str, config_path: str, *_stamp: int) -> bytes:
    return pickle.dumps(hydras.FileConfigSource(provider, path).load_config(config_path))


def parse_once() -> None:
    """To be called before Hydra is asked for anything; later, it parses as it does by itself."""
    SourcesRegistry.instance().register(FileConfigSource)
