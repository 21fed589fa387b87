"""The benchmark: ``make bench``. What it measures and against what is in :mod:`bench.scenarios`."""
