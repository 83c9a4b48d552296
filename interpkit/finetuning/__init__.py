"""finetune(): model x data x loss -> FineTuning and a model folder."""

from interpkit.finetuning._checks import DECIDING
from interpkit.finetuning._finetune import finetune

__all__ = ["DECIDING", "finetune"]
