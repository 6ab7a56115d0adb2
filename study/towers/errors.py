"""The error of checkpoints that others published."""

from __future__ import annotations


class PublishedError(ValueError):
    """A published checkpoint cannot be used; the message says which, where and why."""
