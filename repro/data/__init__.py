"""From text to a version stream."""
