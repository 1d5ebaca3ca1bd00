"""The momentum iterative fast gradient sign method."""

from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import IterativeAttack, Momentum


@ATTACKS.register("mifgsm", version=1)
class MIFGSM(IterativeAttack):
    """MI-FGSM (Dong et al. 2018): I-FGSM along an accumulated gradient, each image scaled on its own."""

    momentum: Momentum = 1.0
