"""TAE sets in their files: nothing is lost, whatever an attack did, and neither damage nor other clean images pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.science.images import largest_change
from trigger_activation.store import tae_sets
from trigger_activation.store.arrays import load_arrays, save_arrays
from trigger_activation.store.tae_sets import TaeSet, packed

DATA_SET, ANOTHER = "0123456789ab" + 52 * "c", 64 * "f"
SHAPE = (40, 8, 8, 3)


def drawn(shape: tuple[int, ...], seed: int, low: int = 0, high: int = 256) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, shape, dtype=torch.int16, generator=generator)


@pytest.fixture
def clean() -> Tensor:
    return drawn(SHAPE, 0).to(torch.uint8)


@pytest.fixture
def adversarial(clean: Tensor) -> Tensor:
    """Within a budget of 8/255."""
    return (clean.short() + drawn(SHAPE, 1, -8, 9)).clamp(0, 255).to(torch.uint8)


@pytest.fixture
def path(tmp_path: Path, adversarial: Tensor, clean: Tensor) -> Path:
    file = tmp_path / "pgd.npz"
    save_arrays(file, packed(adversarial, clean, DATA_SET))
    return file


@pytest.fixture(params=[2**22, 1000, 1])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes compressed at a time: all images, five, one."""
    monkeypatch.setattr(tae_sets, "BLOCK", request.param)
    return int(request.param)


def pixels(shape: tuple[int, ...]) -> st.SearchStrategy[Tensor]:
    """Images of any bytes, among them many that are black, white, or the same."""
    values = st.one_of(st.sampled_from([0, 1, 127, 128, 254, 255]), st.integers(0, 255))
    size = int(np.prod(shape))
    return st.lists(values, min_size=size, max_size=size).map(
        lambda pixels: torch.tensor(pixels, dtype=torch.uint8).reshape(shape)
    )


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    data=st.data(),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.just(3)),
    block=st.integers(1, 40),
)
def test_any_images_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, shape: tuple[int, ...], block: int
) -> None:
    """Those of attacks that keep no budget too: a difference of 255 and one of -1 are told apart by the clean image."""
    clean, adversarial = data.draw(pixels(shape)), data.draw(pixels(shape))
    file = tmp_path_factory.mktemp("set") / "a.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tae_sets, "BLOCK", block)
        save_arrays(file, packed(adversarial, clean, DATA_SET))
        found = TaeSet(file).images(clean, DATA_SET)
    assert found.dtype == torch.uint8
    assert torch.equal(found, adversarial)


@pytest.mark.usefixtures("block")
class TestBlocks:
    def test_all_images_come_back(self, path: Path, clean: Tensor, adversarial: Tensor) -> None:
        before = clean.clone()
        assert len(TaeSet(path)) == len(clean)
        assert torch.equal(TaeSet(path).images(clean, DATA_SET), adversarial)
        assert torch.equal(clean, before)

    @pytest.mark.parametrize("count", [1, 5, 7, 39])
    def test_so_do_the_first_ones(self, path: Path, clean: Tensor, adversarial: Tensor, count: int) -> None:
        assert torch.equal(TaeSet(path).images(clean[:count], DATA_SET), adversarial[:count])

    def test_the_same_images_give_the_same_bytes(
        self, path: Path, clean: Tensor, adversarial: Tensor, tmp_path: Path
    ) -> None:
        save_arrays(tmp_path / "again.npz", packed(adversarial.clone(), clean.clone(), DATA_SET))
        assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_the_middle_of_larger_images_may_be_the_clean_ones(path: Path, clean: Tensor, adversarial: Tensor) -> None:
    margin = drawn((SHAPE[0], 12, 12, 3), 2).to(torch.uint8)
    margin[:, 2:10, 2:10] = clean
    assert torch.equal(TaeSet(path).images(margin[:, 2:10, 2:10], DATA_SET), adversarial)


def test_signed_bytes_of_the_file_are_what_the_attack_added(path: Path, clean: Tensor, adversarial: Tensor) -> None:
    found = TaeSet(path).images(torch.zeros_like(clean), DATA_SET).numpy().view(np.int8)
    assert np.array_equal(found, (adversarial.short() - clean.short()).numpy())
    assert np.abs(found.astype(int)).max() == largest_change(adversarial, clean) == 8


def test_a_set_within_a_budget_is_far_smaller_than_its_images(tmp_path: Path) -> None:
    """Seven of ten differences at the ends of a budget of 8/255, as 20 steps of an attack leave them."""
    shape = (500, 32, 32, 3)
    clean = drawn(shape, 3, 8, 248)
    ends = torch.where(drawn(shape, 4, 0, 2) == 0, -8, 8)
    added = torch.where(drawn(shape, 5, 0, 10) < 7, ends, drawn(shape, 6, -8, 9))
    save_arrays(tmp_path / "a.npz", packed((clean + added).to(torch.uint8), clean.to(torch.uint8), DATA_SET))
    assert (tmp_path / "a.npz").stat().st_size < 0.4 * clean.numel()


def refused(path: Path, clean: Tensor, data_set: str = DATA_SET) -> str:
    with pytest.raises(UserError) as caught:
        TaeSet(path).images(clean, data_set)
    assert one_sentence(str(caught.value)).endswith(": delete it and run again")
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_another_data_set_is_refused(path: Path, clean: Tensor) -> None:
    assert "of sha256 0123456789ab, not to the one of sha256 ffffffffffff that is here" in refused(path, clean, ANOTHER)


@pytest.mark.parametrize("shape", [(40, 4, 4, 3), (41, 8, 8, 3)])
def test_clean_images_that_do_not_fit_are_refused(path: Path, shape: tuple[int, ...]) -> None:
    refused(path, torch.zeros(shape, dtype=torch.uint8))


def test_images_alone_are_no_tae_set(path: Path, clean: Tensor) -> None:
    save_arrays(path, {"images": clean.numpy()})
    assert "cannot be read" in refused(path, clean)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shape", np.array([40, 8, 8])),
        ("shape", np.array([40, 8, 8, 0])),
        ("shape", np.array([-40, 8, 8, 3])),
        ("shape", np.array([39, 8, 8, 3])),
        ("shape", np.array([2**40, 8, 8, 3])),
        ("ends", np.array([], dtype=np.int64)),
        ("ends", np.array([10])),
        ("ends", np.array([1, 2])),
        ("ends", np.array(["end"])),
        ("differences", np.zeros(100, dtype=np.uint8)),
        ("differences", np.zeros(0, dtype=np.uint8)),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(path: Path, clean: Tensor, name: str, value: NDArray[Any]) -> None:
    arrays = load_arrays(path, ("shape", "data_set", "ends", "differences"))
    save_arrays(path, {**arrays, name: value})
    refused(path, clean)


def test_a_set_that_claims_fewer_images_than_its_block_holds_is_refused(path: Path, clean: Tensor) -> None:
    arrays = load_arrays(path, ("shape", "data_set", "ends", "differences"))
    save_arrays(path, {**arrays, "shape": np.array([20, 8, 8, 3])})
    assert "a block has other than its 3840 bytes" in refused(path, clean[:20])


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_file_is_refused(path: Path, clean: Tensor, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, clean)


def test_flipped_bits_are_refused_or_change_nothing(path: Path, clean: Tensor, adversarial: Tensor) -> None:
    content, found = path.read_bytes(), 0
    for position in range(0, len(content), 29):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            assert torch.equal(TaeSet(path).images(clean, DATA_SET), adversarial)
        except UserError as error:
            one_sentence(str(error))
            found += 1
    assert found > len(content) / 29 * 0.8
