"""Doing the work: the worker that claims jobs, its children that run them, and the sender of webhooks."""
