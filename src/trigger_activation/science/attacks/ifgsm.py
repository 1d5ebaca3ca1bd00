"""The iterative fast gradient sign method."""

from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import IterativeAttack


@ATTACKS.register("ifgsm", version=1)
class IFGSM(IterativeAttack):
    """I-FGSM, also called BIM (Kurakin et al. 2017): deterministic steps of eps / steps from the image itself."""
