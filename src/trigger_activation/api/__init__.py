"""Load what was computed, and judge a model of one's own with it, without Snakemake.

The functions of this package are names of :mod:`trigger_activation` too. Each finds the project, a folder with
``config/``, by its argument ``project``, the variable ``TRIGACT_PROJECT``, or upwards from where the program runs.
Files that are missing are pulled through DVC, with its progress bar on a terminal; nothing is ever trained.
"""

from trigger_activation.api.catalog import TaeName, VictimName, list_taes, list_victims
from trigger_activation.api.judging import evaluate
from trigger_activation.api.loading import TaeSet, load_surrogate, load_taes, load_victim
from trigger_activation.api.ranking import leaderboard
from trigger_activation.api.results import Accuracy, Evaluation, UnderAttack

__all__ = [
    "Accuracy",
    "Evaluation",
    "TaeName",
    "TaeSet",
    "UnderAttack",
    "VictimName",
    "evaluate",
    "leaderboard",
    "list_taes",
    "list_victims",
    "load_surrogate",
    "load_taes",
    "load_victim",
]
