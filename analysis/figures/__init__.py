"""From a `View` to drawings, one function a figure; None when the view has no data for it.

Means over seeds with 95 % t intervals (no interval for one seed); faint dots are single seeds. Curves show one seed.
An interval much wider than the seeds' spread runs out of its panel; tables have its ends.
"""
