"""Every mistake in config is refused in one sentence that names the file, the key and a remedy."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.mutations import edit, outcome
from tests.support.projects import SMALL, Project, one_sentence
from trigger_activation.errors import UserError
from trigger_activation.plan.config import load_config


@dataclass(frozen=True)
class Mistake:
    """One edit of the shipped config, and what the sentence must say."""

    file: str
    old: str
    new: str
    says: tuple[str, ...]
    """Key and remedy; the file is always asked for."""


MISSPELT_NAMES = {
    "attack in a table": Mistake(
        "tables/table1.yaml", "[pgd, ifgsm,", "[pgd, ifgms,", ("rows", "'ifgms'", "did you mean 'ifgsm'?")
    ),
    "attack in an experiment": Mistake(
        "experiments/demo.yaml", "table8: {}", "table8: {rows: [pgdd]}", ("tables.table8.rows", "did you mean 'pgd'?")
    ),
    "attack in a supplementary table": Mistake(
        "tables/supplementary.yaml", "attack: mifgsm}", "attack: mifsgm}", ("rows.attack", "did you mean 'mifgsm'?")
    ),
    "paradigm in a table": Mistake(
        "tables/table1.yaml", "victim: fixed_64", "victim: fixd_64", ("columns.victim", "did you mean 'fixed_64'?")
    ),
    "preprocessing in a table": Mistake(
        "tables/table2.yaml", "preprocessing: nrp", "preprocessing: nrpp", ("columns.preprocessing", "mean 'nrp'?")
    ),
    "paradigm in an experiment": Mistake(
        "experiments/demo.yaml", "victim: learn_32", "victim: lern_32", ("victim", "did you mean 'learn_32'?")
    ),
    "paradigm in a figure": Mistake(
        "figures/figure3.yaml", "[fixed, learnable]", "[fixed, lernable]", ("paradigms", "did you mean 'learnable'?")
    ),
    "paradigm of the concept": Mistake(
        "figures/figure1.yaml", "paradigm: fixed", "paradigm: fixd", ("paradigm", "did you mean 'fixed'?")
    ),
    "attack in a figure": Mistake("figures/theory.yaml", "attack: pgd", "attack: pdg", ("attack", "mean 'pgd'?")),
    "table in a figure": Mistake("figures/tradeoff.yaml", "table2", "tabel2", ("table", "did you mean 'table2'?")),
    "table of triggers in a figure": Mistake("figures/matrices.yaml", "table2", "table11", ("table", "'table1'")),
    "data set of a protocol": Mistake(
        "protocols/cifar10.yaml", "dataset: cifar10", "dataset: cifar11", ("dataset", "did you mean 'cifar10'?")
    ),
    "network of a protocol": Mistake(
        "protocols/cifar10.yaml", "[resnet18,", "[resnet19,", ("networks", "did you mean 'resnet18'?")
    ),
    "network of the flip study": Mistake(
        "protocols/cifar10.yaml", "network: resnet18", "network: inception_v4", ("flip.network", "choose one of")
    ),
    "role of a protocol": Mistake(
        "protocols/cifar10.yaml", "fixed: fixed_64", "fixed: fixed64", ("roles.fixed", "did you mean 'fixed_64'?")
    ),
    "attack on fewer images": Mistake(
        "protocols/fashion16.yaml", "{l2t: 500}", "{l2p: 500}", ("attack.images", "'l2p'", "did you mean 'l2t'")
    ),
    "paradigm of an ensemble": Mistake(
        "protocols/fashion16.yaml",
        "roles:",
        "ensembles: {two: {label: two, paradigms: [fixed, lernable]}}\nroles:",
        ("ensembles.two.paradigms", "'lernable'", "choose one of"),
    ),
    "paradigm with seeds": Mistake(
        "protocols/fashion16.yaml", "standard: 3", "standrad: 3", ("seeds.paradigms", "did you mean 'standard'?")
    ),
    "overridden paradigm": Mistake(
        "protocols/cifar100.yaml", "tdat: {", "tdta: {", ("overrides.paradigms", "did you mean 'tdat'?")
    ),
    "protocol of an experiment": Mistake(
        "experiments/demo.yaml", "A: fashion16", "A: fashion61", ("slots.A", "did you mean 'fashion16'?")
    ),
    "table of an experiment": Mistake(
        "experiments/demo.yaml", "table11: {}", "tabel11: {}", ("tables", "did you mean 'table11'?")
    ),
    "figure of an experiment": Mistake(
        "experiments/demo.yaml", "[figure1,", "[figure11,", ("figures", "did you mean 'figure1'?")
    ),
    "default experiment": Mistake("config.yaml", "demo", "dmeo", ("experiment", "did you mean 'demo'?")),
    "experiment to replicate": Mistake(
        "experiments/demo-again.yaml", "replicates: demo", "replicates: dmo", ("replicates", "did you mean 'demo'")
    ),
    "table to be like": Mistake("tables/table9.yaml", "like: table8", "like: table88", ("like", "name one")),
    "kind of a table": Mistake("tables/table1.yaml", "kind: accuracy", "kind: acuracy", ("kind", "'accuracy'")),
    "kind of a figure": Mistake("figures/figure2.yaml", "kind: flip", "kind: flop", ("kind", "'flip'")),
    "slot": Mistake("tables/table1.yaml", "slots: [A]", "slots: [D]", ("slots", "'A', 'B' or 'C'")),
    "network that a helper learns from": Mistake(
        "helpers/purification.yaml", "features_of: vgg-s", "features_of: vgg-z", ("nrp-xs", "did you mean 'vgg-s'?")
    ),
    "parameter": Mistake(
        "attacks/gradient.yaml",
        "step_size: 0.095625*eps",
        "step_sise: 2/255",
        ("pgd.parameters.step_sise", "'step_size'"),
    ),
}

MISSPELT_CLASSES = {
    "data set": Mistake("datasets/embedded.yaml", "class: packed", "class: paked", ("fashion16", "'packed'")),
    "network": Mistake("networks/miniature.yaml", "class: vgg", "class: vggg", ("vgg-s", "'vgg'")),
    "paradigm": Mistake("paradigms/baselines.yaml", "class: adversarial", "class: adversrial", ("at", "'adversarial'")),
    "attack": Mistake("attacks/gradient.yaml", "class: pgd", "class: pdg", ("pgd.class", "'pgd'")),
    "preprocessing": Mistake(
        "preprocessing/filters.yaml", "class: bit_depth", "class: bitdepth", ("bdr_d2.class", "'bit_depth'")
    ),
}

UNKNOWN_KEYS = {
    "config": Mistake("config.yaml", "experiment: demo", "experiment: demo\nexperimnt: paper", ("experimnt",)),
    "data set": Mistake("datasets/embedded.yaml", "  image_size", "  image_sizes: 1\n  image_size", ("'image_size'",)),
    "network": Mistake("networks/full.yaml", "  label", "  labels: x\n  label", ("resnet18.labels", "'label'")),
    "paradigm": Mistake("paradigms/baselines.yaml", "  label", "  lable: x\n  label", ("standard.lable", "'label'")),
    "attack": Mistake("attacks/gradient.yaml", "parameters:\n", "params:\n", ("pgd.params", "'parameters'")),
    "preprocessing": Mistake("preprocessing/purifiers.yaml", "  label", "  lable", ("nrp.lable", "'label'")),
    "protocol": Mistake("protocols/fashion16.yaml", "seeds:", "seed:", ("seed", "'seeds'")),
    "training": Mistake(
        "protocols/fashion16.yaml", "  epochs: 5", "  epochs: 5\n  epoch: 6", ("training.epoch", "'epochs'")
    ),
    "augmentation": Mistake("protocols/fashion16.yaml", "padding: 1", "pading: 1", ("pading", "'padding'")),
    "threat model": Mistake("protocols/fashion16.yaml", "steps: 20", "steps: 20, step: 1", ("attack.step", "'steps'")),
    "white-box settings": Mistake("protocols/fashion16.yaml", "{images: 50", "{image: 50", ("white_box.image",)),
    "table": Mistake("tables/table2.yaml", "mean_row", "meanrow", ("meanrow", "'mean_row'")),
    "row": Mistake("tables/supplementary.yaml", "pairs:", "pair:", ("rows.2.pair", "'pairs'")),
    "column": Mistake("tables/table1.yaml", "label: 1/255", "lable: 1/255", ("columns.2.lable", "'label'")),
    "figure": Mistake("figures/figure2.yaml", "title:", "titel: x\ntitle:", ("titel", "'title'")),
    "experiment": Mistake("experiments/demo.yaml", "decimals:", "decimal:", ("decimal", "'decimals'")),
    "selection": Mistake("experiments/demo.yaml", "table8: {}", "table8: {row: [pgd]}", ("table8.row", "'rows'")),
}

WRONG_VALUES = {
    "eps in grey levels": Mistake("protocols/cifar10.yaml", "eps: 8/255", "eps: 8", ("attack.eps", "write 8/255")),
    "eps that is no number": Mistake("protocols/cifar10.yaml", "eps: 8/255", "eps: eight", ("attack.eps", "8/255")),
    "step size in grey levels": Mistake(
        "attacks/gradient.yaml", "step_size: 0.095625*eps", "step_size: 2", ("pgd.parameters.step_size", "2/255")
    ),
    "no image per batch": Mistake(
        "protocols/cifar10.yaml", "batch_size: 128", "batch_size: 0", ("training.batch_size", "greater than 0")
    ),
    "no image per block": Mistake(
        "protocols/fashion16.yaml", "batch_size: 100", "batch_size: 0", ("attack.batch_size", "greater than 0")
    ),
    "a single batch": Mistake(
        "protocols/fashion16.yaml", "batch_size: 100", "batch_size: 500", ("attack.images.l2t is 500", "two or more")
    ),
    "more images than there are": Mistake(
        "protocols/fashion16.yaml", "{l2t: 500}", "{l2t: 5000}", ("attack.images.l2t is 5000", "evaluation.images")
    ),
    "victims without surrogates of their seed": Mistake(
        "protocols/fashion16.yaml", "at: 3", "at: 4", ("seeds: at is 4", "have 3")
    ),
    "negative epochs": Mistake(
        "protocols/cifar10.yaml", "epochs: 60", "epochs: -1", ("training.epochs", "greater than 0")
    ),
    "float as number of steps": Mistake(
        "protocols/cifar10.yaml", "steps: 20", "steps: 20.5", ("attack.steps", "integer")
    ),
    "truth value as number of steps": Mistake(
        "protocols/cifar10.yaml", "steps: 20", "steps: yes", ("attack.steps", "integer")
    ),
    "fraction above one": Mistake("protocols/cifar10.yaml", "0.95, 1]", "0.95, 2]", ("flip.fractions", "equal to 1")),
    "infinite number": Mistake("protocols/cifar10.yaml", "gradient_clip: 5.0", "gradient_clip: .inf", ("clip",)),
    "infinite parameter of an unimplemented variant": Mistake(
        "attacks/gradient.yaml", "radius: 3.5", "radius: .inf", ("gra", "radius")
    ),
    "date as a parameter": Mistake("attacks/gradient.yaml", "radius: 3.5", "radius: 2024-01-01", ("gra", "radius")),
    "a single defense in a table of differences": Mistake(
        "tables/supplementary_differences.yaml",
        "  - {victim: at}\n  - {victim: fixed}\n  - {victim: learnable}\n",
        "",
        ("columns", "at least two"),
    ),
    "a single defense selected for a table of differences": Mistake(
        "experiments/demo.yaml",
        "supplementary_differences: {}",
        "supplementary_differences: {columns: [{victim: fixed}]}",
        ("columns", "at least two"),
    ),
    "two slots of an accuracy table": Mistake("tables/table1.yaml", "[A]", "[A, B]", ("slots", "one entry")),
    "two slots selected for an accuracy table": Mistake(
        "experiments/demo.yaml", "table1: {}", "table1: {slots: [A, B]}", ("slots",)
    ),
    "list as experiment": Mistake("config.yaml", "demo", "[demo]", ("experiment", "string")),
    "list as table to be like": Mistake("tables/table9.yaml", "like: table8", "like: [table8]", ("like",)),
    "table to be like that is like another": Mistake(
        "tables/table9.yaml", "like: table8", "like: table10", ("like", "name one")
    ),
    "value that other tables inherit": Mistake(
        "tables/table8.yaml", "pairs: off_diagonal", "pairs: off", ("pairs", "'off_diagonal'")
    ),
    "slot left empty": Mistake(
        "experiments/demo.yaml", ", C: photos32", "", ("table4", "slot C", "add `C: <protocol>`")
    ),
    "rows of a table without attacks": Mistake(
        "experiments/demo.yaml", "table11: {}", "table11: {rows: [pgd]}", ("tables.table11.rows", "remove it")
    ),
    "rows of a supplementary table": Mistake(
        "experiments/demo.yaml",
        "supplementary: {}",
        "supplementary: {rows: [pgd]}",
        ("supplementary.rows", "remove it"),
    ),
    "row of two kinds": Mistake(
        "tables/supplementary.yaml", "{white_box: pgd}", "{attack: pgd, white_box: pgd}", ("rows.7", "`white_box`")
    ),
    "row of no kind": Mistake("tables/supplementary.yaml", "{white_box: pgd}", "{}", ("rows.7", "`attack`")),
    "pairs of a white-box attack": Mistake(
        "tables/supplementary.yaml", "{white_box: pgd}", "{white_box: pgd, pairs: all}", ("rows.7", "remove them")
    ),
    "pairs of clean images": Mistake(
        "tables/supplementary.yaml", "{attack: clean}", "{attack: clean, pairs: all}", ("rows.0", "remove them")
    ),
    "unknown white-box attack": Mistake(
        "tables/supplementary.yaml", "white_box: pgd", "white_box: apgd", ("rows.7.white_box", "'autoattack'")
    ),
    "preprocessing in front of a white-box attack": Mistake(
        "tables/supplementary.yaml", "{victim: noise_64}", "{preprocessing: nrp}", ("columns.preprocessing", "nrp")
    ),
    "network for larger images": Mistake(
        "protocols/cifar10.yaml", "densenet121]", "densenet121, inception_v4]", ("inception_v4", "32 px", "choose")
    ),
    "preprocessing in front of a trained victim": Mistake(
        "tables/table2.yaml", "{victim: at,", "{victim: at, preprocessing: nrp,", ("nrp", "at", "drop one")
    ),
    "preprocessing in a figure": Mistake("figures/figure3.yaml", "[fixed, learnable]", "[nrp]", ("paradigms", "nrp")),
    "role of a preprocessing as victim": Mistake(
        "tables/table2.yaml", "preprocessing: jpeg_low", "victim: jpeg_low", ("victim", "jpeg_low")
    ),
    "role of a paradigm as preprocessing": Mistake(
        "tables/table2.yaml", "preprocessing: nrp", "preprocessing: learnable", ("preprocessing", "learnable")
    ),
    "override that nothing uses": Mistake(
        "protocols/cifar100.yaml", "tdat: {", "learn_8: {alpha: 1/255}\n    tdat: {", ("paradigms.learn_8", "remove it")
    ),
    "upper-case name": Mistake("attacks/gradient.yaml", "gra:\n", "GRA:\n", ("'GRA'", "lower-case")),
    "name with two underscores": Mistake("attacks/gradient.yaml", "gra:\n", "g__ra:\n", ("'g__ra'", "underscore")),
    "upper-case role": Mistake("protocols/cifar10.yaml", "  fixed:", "  Fixed:", ("roles.Fixed", "lower-case")),
    "row shown twice": Mistake("tables/table1.yaml", "[pgd, ifgsm,", "[pgd, pgd,", ("rows", "pgd")),
    "network listed twice": Mistake("protocols/cifar10.yaml", "[resnet18,", "[resnet18, resnet18,", ("networks",)),
    "figure without a slot": Mistake("figures/figure2.yaml", "slots: [A]", "slots: []", ("slots",)),
    "name with a line break": Mistake("tables/table1.yaml", "kind: accuracy", 'kind: "a\\nb"', ("kind",)),
}

MISSING_KEYS = {
    "of a protocol": Mistake("protocols/cifar10.yaml", "dataset: cifar10\n", "", ("dataset", "add it")),
    "of a table": Mistake("tables/table1.yaml", "rows: [pgd, ifgsm, mifgsm, difgsm]\n", "", ("rows", "add it")),
    "that says which table it is": Mistake("tables/table1.yaml", "kind: accuracy\n", "", ("kind", "add it")),
    "of a variant": Mistake("attacks/gradient.yaml", "  class: pgd\n", "", ("pgd.class", "add it")),
    "of config.yaml": Mistake("config.yaml", "experiment: demo", "complete: false", ("experiment", "add")),
    "among the parameters": Mistake(
        "paradigms/fixed_trigger.yaml", "{trigger_eps: 1/255}", "{}", ("fixed_1.parameters.trigger_eps", "add it")
    ),
    "because it is misspelt": Mistake(
        "protocols/fashion16.yaml", "learning_rate:", "learning_rte:", ("training.learning_r", "'learning_rate'")
    ),
}

BROKEN_FILES = {
    "key given twice": Mistake(
        "protocols/cifar10.yaml", "eps: 8/255,", "eps: 8/255, eps: 8/255,", ("line 12", "'eps'", "keep one")
    ),
    "variant given twice in a file": Mistake(
        "attacks/gradient.yaml", "gra:\n", "pgd:\n", ("line 51", "'pgd'", "keep one")
    ),
    "variant given twice in a folder": Mistake(
        "attacks/input_transformation.yaml", "l2t:\n", "pgd:\n", ("pgd", "attacks/gradient.yaml", "rename one")
    ),
    "open bracket": Mistake("protocols/cifar10.yaml", "networks: [", "networks: [[", ("line 4",)),
    "tabulator": Mistake("protocols/cifar10.yaml", "  epochs: 60", "\tepochs: 60", ("line 5",)),
    "impossible date": Mistake("protocols/cifar10.yaml", "title: The", "title: 2024-13-01 #", ()),
    "list as a key": Mistake("protocols/cifar10.yaml", "dataset: cifar10", "? [dataset]\n: cifar10", ("line 2",)),
}

MISTAKES = [
    pytest.param(mistake, id=f"{group} {name}".replace(" ", "-"))
    for group, mistakes in {
        "misspelt": MISSPELT_NAMES,
        "misspelt class of": MISSPELT_CLASSES,
        "unknown key of": UNKNOWN_KEYS,
        "wrong value:": WRONG_VALUES,
        "missing key": MISSING_KEYS,
        "broken file:": BROKEN_FILES,
    }.items()
    for name, mistake in mistakes.items()
]


def test_the_shipped_config_is_accepted(project: Project) -> None:
    assert project.plan().artifacts


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_in_one_sentence(project: Project, mistake: Mistake) -> None:
    project.replace(mistake.file, mistake.old, mistake.new)
    sentence = project.complaint()
    assert f"config/{mistake.file}" in sentence
    for words in mistake.says:
        assert words in sentence
    assert "function-" not in sentence  # pydantic's internals


def test_the_remedy_for_an_unknown_key_is_another_key(project: Project) -> None:
    project.append("protocols/cifar10.yaml", "steps: 20\n")
    assert "did you mean 'steps'" not in project.complaint()


def test_a_misspelt_parameter_in_an_override_names_its_protocol(project: Project) -> None:
    project.replace("protocols/fashion16.yaml", "at: {steps: 5", "at: {setps: 5")
    sentence = project.complaint()
    assert "fashion16" in sentence
    assert "at.parameters.setps" in sentence
    assert "did you mean 'steps'?" in sentence


def test_a_variant_that_nothing_uses_is_told(project: Project) -> None:
    project.append("attacks/gradient.yaml", "spare: {class: pgd, label: Spare}\n")
    (sentence,) = project.plan().notices
    assert "config/attacks/gradient.yaml declares spare" in one_sentence(sentence)
    assert "or remove it" in sentence


def test_a_variant_that_nothing_uses_may_be_offered(project: Project) -> None:
    assert project.plan().notices == []
    project.replace("config.yaml", "attacks: [nifgsm, vmifgsm,", "attacks: [nifgsm,")
    assert "declares vmifgsm" in project.plan().notices[0]


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        ("attacks: [nifgsm, vmifgsn,", "did you mean 'vmifgsm'?"),
        ("attack: [nifgsm, vmifgsm,", "did you mean 'attacks'?"),
    ],
)
def test_only_what_is_declared_is_offered(project: Project, offered: str, says: str) -> None:
    project.replace("config.yaml", "attacks: [nifgsm, vmifgsm,", offered)
    sentence = project.complaint()
    assert "config/config.yaml: offered" in sentence
    assert says in sentence


def test_a_figure_of_a_table_needs_the_table(project: Project) -> None:
    with project.edited("experiments/smoke.yaml") as experiment:
        del experiment["tables"]["table2"]
    sentence = project.complaint()
    assert "config/experiments/smoke.yaml" in sentence
    assert "table2, which the experiment leaves out: add it under tables" in sentence


def test_the_concept_needs_two_networks(project: Project) -> None:
    with project.edited("protocols/smoke.yaml") as protocol:
        protocol["networks"] = ["vgg-s"]
    sentence = project.complaint()
    assert "config/protocols/smoke.yaml has a single network" in sentence


def test_every_class_has_a_name_or_none(project: Project) -> None:
    project.replace("datasets/embedded.yaml", "[T-shirt, ", "[")
    sentence = project.complaint()
    assert "config/datasets/embedded.yaml: fashion16" in sentence
    assert "9 class_names do not fit 10 classes" in sentence


def test_a_flip_figure_needs_flip_settings(project: Project) -> None:
    with project.edited("protocols/fashion16.yaml") as protocol:
        del protocol["flip"]
    sentence = project.complaint()
    assert "config/protocols/fashion16.yaml" in sentence
    assert "add network, fractions and masks" in sentence


def test_white_box_rows_need_white_box_settings(project: Project) -> None:
    with project.edited("protocols/fashion16.yaml") as protocol:
        del protocol["white_box"]
    sentence = project.complaint()
    assert "config/protocols/fashion16.yaml" in sentence
    assert "add `white_box: {images: ...}`" in sentence


def test_white_box_settings_need_their_attack(small: Project) -> None:
    small.replace("attacks/all.yaml", "pgd_quarter:", "madry:")
    sentence = small.complaint()
    assert "config/protocols/mini.yaml" in sentence
    assert "white_box names the attack 'pgd_quarter'" in sentence


def test_a_role_that_the_protocol_leaves_out_is_named(project: Project) -> None:
    with project.edited("protocols/cifar100.yaml") as protocol:
        del protocol["roles"]["jpeg_low"]
    sentence = project.complaint()
    assert "cifar100" in sentence
    assert "jpeg_low" in sentence


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text\n", "42\n"])
def test_a_file_without_keys_is_refused(project: Project, text: str) -> None:
    project.write("tables/table1.yaml", text)
    sentence = project.complaint()
    assert "config/tables/table1.yaml" in sentence
    assert "`key: value`" in sentence


def test_a_variant_that_is_no_mapping_is_refused(project: Project) -> None:
    project.append("attacks/gradient.yaml", "spare: pgd\n")
    sentence = project.complaint()
    assert "config/attacks/gradient.yaml: spare" in sentence


def test_a_file_in_another_encoding_is_refused(project: Project) -> None:
    (project.config / "tables/table1.yaml").write_bytes("title: Größe".encode("latin-1"))
    sentence = project.complaint()
    assert "config/tables/table1.yaml" in sentence
    assert "UTF-8" in sentence


def test_a_control_character_is_refused(project: Project) -> None:
    project.append("tables/table1.yaml", "label: \x07\n")
    assert "config/tables/table1.yaml" in project.complaint()


@pytest.mark.usefixtures("folder")
def test_a_folder_without_config_is_named() -> None:
    with pytest.raises(UserError) as caught:
        load_config(Path("config"))
    sentence = one_sentence(str(caught.value))
    assert "config/config.yaml is missing" in sentence
    assert "check the folder" in sentence


def test_a_document_name_that_is_no_slug_is_refused(project: Project) -> None:
    project.write("tables/Table_12.yaml", project.read("tables/table1.yaml"))
    sentence = project.complaint()
    assert "Table_12" in sentence
    assert "lower-case" in sentence


class TestNamesThatClaimTheSamePath:
    """Two things under one name would share a file, and one of them would show the other's numbers."""

    def test_preprocessing_and_paradigm(self, small: Project) -> None:
        small.replace("preprocessing/all.yaml", "nrp:", "learn_4:")
        small.replace("protocols/mini.yaml", "purifier: nrp", "purifier: learn_4")
        with small.edited("tables/table1.yaml") as table:
            table["columns"].reverse()
        assert "learn_4" in small.complaint()

    def test_paradigm_and_the_undefended_column(self, small: Project) -> None:
        small.replace("paradigms/all.yaml", "learn_4:", "none:")
        small.replace("protocols/mini.yaml", "learnable: learn_4", "learnable: none")
        assert "none" in small.complaint()

    def test_attack_and_the_clean_row(self, small: Project) -> None:
        small.replace("attacks/all.yaml", "difgsm:", "clean:")
        small.replace("tables/table1.yaml", "- difgsm", "- clean")
        small.replace("experiments/small.yaml", "- difgsm", "- clean")
        assert "clean" in small.complaint()

    def test_table_and_figure(self, small: Project) -> None:
        small.write("figures/table11.yaml", small.read("figures/figure2.yaml"))
        small.replace("experiments/small.yaml", "- figure2", "- figure2\n- table11")
        assert "table11" in small.complaint()


def test_the_small_project_is_accepted(small: Project) -> None:
    assert outcome(small) == "accepted"


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(sorted(SMALL)), draw=st.data())
def test_any_edit_is_accepted_or_refused_in_one_sentence(small: Project, file: str, draw: st.DataObject) -> None:
    content = copy.deepcopy(SMALL[file])
    edit(content, draw)
    before = small.read(file)
    small.write(file, yaml.safe_dump(content))
    try:
        outcome(small)
    finally:
        small.write(file, before)
