"""One spelling of JSON: the same content gives the same text, and the same hash."""

import hashlib
import json


def canonical(content: object) -> str:
    """JSON with sorted keys and exact floats: the same content gives the same text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(content: object) -> str:
    """Hex SHA-256 of a content's canonical JSON."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()
