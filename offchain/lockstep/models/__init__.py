"""The model zoo: ordinary ``nn.Module`` classes, nothing in them knows of programs."""

from lockstep.models.cnn import CNN
from lockstep.models.mlp import MLP

__all__ = ["CNN", "MLP"]
