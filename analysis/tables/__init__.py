"""From a `View` to tables, one function a table; None when the view has no data for it."""
