"""Jobreel: a self-hosted Toolkit API. Media jobs over HTTP, queued durably, watched from one place."""

__version__ = "0.1.0"
