"""What every run has in common: how it is fed, timed, described, and repeated."""

from interpkit.running.asking import COMMON, Run, command_line, planned_fingerprint
from interpkit.running.bars import progress
from interpkit.running.feeding import Fed, Progress, Settled, check_finite, fed, first_images, forward, silent
from interpkit.running.layers import one_layer
from interpkit.running.placing import ALIGNMENTS, Align, label_grid, place
from interpkit.running.resuming import Stage, resumed
from interpkit.running.sources import LabelSetPictures
from interpkit.running.stopwatch import Stopwatch, announce

__all__ = [
    "ALIGNMENTS",
    "COMMON",
    "Align",
    "Fed",
    "LabelSetPictures",
    "Progress",
    "Run",
    "Settled",
    "Stage",
    "Stopwatch",
    "announce",
    "check_finite",
    "command_line",
    "fed",
    "first_images",
    "forward",
    "label_grid",
    "one_layer",
    "place",
    "planned_fingerprint",
    "progress",
    "resumed",
    "silent",
]
