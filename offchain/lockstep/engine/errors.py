"""What the engine refuses, in sentences for people."""

from __future__ import annotations


class EngineError(ValueError):
    """A program or tensor the engine does not run; the message says why and what to do."""


class MemoryLimitError(EngineError):
    """The step would need more memory than allowed; nothing was allocated."""


class CheckpointError(EngineError):
    """Bytes that are not a checkpoint of this program."""


class LostRankError(EngineError):
    """Another process of those that share the work has ended, or does not answer."""


class NativeLimitError(EngineError):
    """A program that the native engine has no room for; PyTorch computes the same."""
