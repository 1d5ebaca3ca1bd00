"""Where artifacts lie. Names are for people; every part is a slug without double underscores."""


def dataset(name: str, split: str) -> str:
    """uint8 images and labels of one split."""
    return f"results/datasets/{name}/{split}.npz"


def checkpoint(protocol: str, network: str, paradigm: str, seed: int) -> str:
    """A trained network, its trigger included."""
    return f"results/checkpoints/{protocol}/{network}__{paradigm}/seed{seed}.safetensors"


def tae(protocol: str, network: str, paradigm: str, seed: int, attack: str) -> str:
    """Adversarial images crafted on one surrogate."""
    return f"results/taes/{protocol}/{network}__{paradigm}/seed{seed}/{attack}.npz"


def purified(protocol: str, network: str, paradigm: str, seed: int, attack: str, purifier: str) -> str:
    """A purified TAE set."""
    return f"results/purified/{protocol}/{network}__{paradigm}/seed{seed}/{attack}__{purifier}.npz"


def purified_clean(protocol: str, purifier: str) -> str:
    """Purified clean test images."""
    return f"results/purified/{protocol}/clean/{purifier}.npz"


def cell(protocol: str, surrogates: str, attack: str, column: str) -> str:
    """A table cell; the clean row is ``clean/clean``."""
    return f"results/cells/{protocol}/{surrogates}/{attack}/{column}.json"


def predictions(protocol: str, surrogates: str, attack: str, column: str) -> str:
    """The predicted classes behind a cell."""
    return f"results/predictions/{protocol}/{surrogates}/{attack}/{column}.npz"


def measured(protocol: str, study: str, name: str) -> str:
    """Measurements on networks: ``trigger``, ``flip``, ``concept``, ``theory``, ``cost``, ``whitebox``."""
    return f"results/cells/{protocol}/measured/{study}/{name}.json"


def rendered(experiment: str, name: str, suffix: str) -> str:
    """A rendered table or figure."""
    return f"paper_tables/{experiment}/{name}.{suffix}"
