"""Cards of networks and images: what stands in them is what records say."""

from __future__ import annotations

import pytest
import yaml

from tests.support.smoke_project import Project
from trigger_activation import list_taes, list_victims
from trigger_activation.api.cards import data_card, model_card
from trigger_activation.errors import UserError
from trigger_activation.store.records import read_record

pytestmark = pytest.mark.workflow

NETWORK = "results/checkpoints/smoke/vgg-s__at/seed0.safetensors"
TAE = "results/taes/smoke/vgg-s__standard/seed0/pgd.npz"


def front_and_rows(card: str) -> tuple[dict[str, object], list[str]]:
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), [line for line in text.splitlines() if line.startswith("| ")][2:]


def test_a_model_card_lists_every_network_with_its_hash(here: Project) -> None:
    front, rows = front_and_rows(model_card("smoke"))
    assert len(rows) == len(list_victims("smoke"))
    record = read_record(NETWORK)
    assert record is not None
    assert any(f"| vgg-s | at | 0 | {record.checks['losses'][-1]:.3g} | `{record.sha256}` |" == row for row in rows)
    assert {"license", "pipeline_tag", "model-index"} <= front.keys()
    assert record.environment is not None
    assert record.environment.device in model_card("smoke")
    assert here


def test_a_data_card_lists_every_set_with_its_hash_and_the_attacks(here: Project) -> None:
    front, rows = front_and_rows(data_card("smoke"))
    assert len(rows) == len(list_taes("smoke"))
    record = read_record(TAE)
    assert record is not None
    assert f"| vgg-s | standard | 0 | pgd | 100 | `{record.sha256}` |" in rows
    assert front["source_datasets"] == ["fashion16"]
    assert yaml.safe_dump({"pgd": record.parameters["attack"]}) in data_card("smoke")
    assert here


def test_without_records_there_is_no_card(here: Project) -> None:
    with pytest.raises(UserError, match="no record of a network of this protocol is here"):
        model_card("fashion28")
    assert here
