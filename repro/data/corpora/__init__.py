"""Where documents come from: one file per corpus. Importing the package fills the registry."""

from repro.data.corpora import botocore, hf, large, local, mixed, releases, rfc, sotu, synthetic

__all__ = ["botocore", "hf", "large", "local", "mixed", "releases", "rfc", "sotu", "synthetic"]
