"""What the project rebuilds or rests on, as a reference each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ARXIV = "https://arxiv.org/abs/"
ICCV = "https://openaccess.thecvf.com/content/ICCV2023/papers/"


@dataclass(frozen=True)
class Reference:
    """Where a method or a data set is from."""

    name: str
    """As tables call it, without parameters."""
    authors: str
    title: str
    where: str
    """Venue and year."""
    url: str


REFERENCES = tuple(
    Reference(*fields)
    for fields in (
        (
            "PGD",
            "Madry et al.",
            "Towards Deep Learning Models Resistant to Adversarial Attacks",
            "ICLR 2018",
            f"{ARXIV}1706.06083",
        ),
        ("I-FGSM", "Kurakin et al.", "Adversarial Examples in the Physical World", "ICLR 2017", f"{ARXIV}1607.02533"),
        ("MI-FGSM", "Dong et al.", "Boosting Adversarial Attacks with Momentum", "CVPR 2018", f"{ARXIV}1710.06081"),
        (
            "DI-FGSM",
            "Xie et al.",
            "Improving Transferability of Adversarial Examples with Input Diversity",
            "CVPR 2019",
            f"{ARXIV}1803.06978",
        ),
        (
            "NI-FGSM",
            "Lin et al.",
            "Nesterov Accelerated Gradient and Scale Invariance for Adversarial Attacks",
            "ICLR 2020",
            f"{ARXIV}1908.06281",
        ),
        (
            "VMI-FGSM",
            "Wang and He",
            "Enhancing the Transferability of Adversarial Attacks through Variance Tuning",
            "CVPR 2021",
            f"{ARXIV}2103.15571",
        ),
        (
            "GRA",
            "Zhu et al.",
            "Boosting Adversarial Transferability via Gradient Relevance Attack",
            "ICCV 2023",
            f"{ICCV}Zhu_Boosting_Adversarial_Transferability_via_Gradient_Relevance_Attack_ICCV_2023_paper.pdf",
        ),
        (
            "BSR",
            "Wang et al.",
            "Boosting Adversarial Transferability by Block Shuffle and Rotation",
            "CVPR 2024",
            f"{ARXIV}2308.10299",
        ),
        (
            "L2T",
            "Zhu et al.",
            "Learning to Transform Dynamically for Better Adversarial Transferability",
            "CVPR 2024",
            f"{ARXIV}2405.14077",
        ),
        (
            "NAA",
            "Zhang et al.",
            "Improving Adversarial Transferability via Neuron Attribution-Based Attacks",
            "CVPR 2022",
            f"{ARXIV}2204.00008",
        ),
        (
            "RPA",
            "Zhang et al.",
            "Enhancing the Transferability of Adversarial Examples with Random Patch",
            "IJCAI 2022",
            "https://www.ijcai.org/proceedings/2022/0233.pdf",
        ),
        (
            "Diff-PGD",
            "Xue et al.",
            "Diffusion-Based Adversarial Sample Generation for Improved Stealthiness and Controllability",
            "NeurIPS 2023",
            f"{ARXIV}2305.16494",
        ),
        ("EOT-PGD", "Athalye et al.", "Synthesizing Robust Adversarial Examples", "ICML 2018", f"{ARXIV}1707.07397"),
        (
            "Square",
            "Andriushchenko et al.",
            "Square Attack: A Query-Efficient Black-Box Adversarial Attack via Random Search",
            "ECCV 2020",
            f"{ARXIV}1912.00049",
        ),
        (
            "AutoAttack",
            "Croce and Hein",
            "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-Free Attacks",
            "ICML 2020",
            f"{ARXIV}2003.01690",
        ),
        (
            "AT",
            "Madry et al.",
            "Towards Deep Learning Models Resistant to Adversarial Attacks",
            "ICLR 2018",
            f"{ARXIV}1706.06083",
        ),
        (
            "RAT",
            "Jin et al.",
            "Randomized Adversarial Training via Taylor Expansion",
            "CVPR 2023",
            f"{ARXIV}2303.10653",
        ),
        (
            "TDAT",
            "Tong et al.",
            "Taxonomy Driven Fast Adversarial Training",
            "AAAI 2024",
            "https://ojs.aaai.org/index.php/AAAI/article/view/28330",
        ),
        (
            "Ensemble AT",
            "Tramèr et al.",
            "Ensemble Adversarial Training: Attacks and Defenses",
            "ICLR 2018",
            f"{ARXIV}1705.07204",
        ),
        (
            "JPEG",
            "Guo et al.",
            "Countering Adversarial Images using Input Transformations",
            "ICLR 2018",
            f"{ARXIV}1711.00117",
        ),
        (
            "BDR",
            "Xu et al.",
            "Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks",
            "NDSS 2018",
            f"{ARXIV}1704.01155",
        ),
        (
            "R&P",
            "Xie et al.",
            "Mitigating Adversarial Effects Through Randomization",
            "ICLR 2018",
            f"{ARXIV}1711.01991",
        ),
        (
            "NRP",
            "Naseer et al.",
            "A Self-supervised Approach for Adversarial Robustness",
            "CVPR 2020",
            f"{ARXIV}2006.04924",
        ),
        ("DiffPure", "Nie et al.", "Diffusion Models for Adversarial Purification", "ICML 2022", f"{ARXIV}2205.07460"),
        (
            "Fashion-MNIST",
            "Xiao et al.",
            "Fashion-MNIST: A Novel Image Dataset for Benchmarking Machine Learning Algorithms",
            "2017",
            f"{ARXIV}1708.07747",
        ),
        (
            "CIFAR",
            "Krizhevsky",
            "Learning Multiple Layers of Features from Tiny Images",
            "2009",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
        ),
        (
            "ImageNet",
            "Russakovsky et al.",
            "ImageNet Large Scale Visual Recognition Challenge",
            "IJCV 2015",
            "https://image-net.org",
        ),
    )
)


def cited(text: str, references: Iterable[Reference] = REFERENCES) -> list[Reference]:
    """Those whose names stand in a text as words of their own."""
    return [each for each in references if re.search(rf"(?<![\w-]){re.escape(each.name)}(?![A-Za-z])", text)]
