"""Benchmarks: figures beside limits measured in the same run (docs/benchmarks.md). They assert nothing."""


class NotMeasured(Exception):
    """A figure could not be had, with the reason in a sentence."""
