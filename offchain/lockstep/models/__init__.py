"""The model zoo: ordinary ``nn.Module`` classes, nothing in them knows of programs."""

from lockstep.models.attention import AttentionClassifier
from lockstep.models.bert import BERT, bert_tiny
from lockstep.models.cnn import CNN
from lockstep.models.gpt import GPT, gpt_mini, next_token_loss
from lockstep.models.lstm import LSTMClassifier
from lockstep.models.mlp import MLP
from lockstep.models.resnet import ResNet18

__all__ = [
    "BERT",
    "CNN",
    "GPT",
    "MLP",
    "AttentionClassifier",
    "LSTMClassifier",
    "ResNet18",
    "bert_tiny",
    "gpt_mini",
    "next_token_loss",
]
