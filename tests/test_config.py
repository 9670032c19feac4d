import dataclasses
import json
import pickle

import pytest

from kdfunc import presets
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError


def test_defaults_are_the_papers_protocol():
    config = ExperimentConfig(dataset="mnist")
    assert (config.epochs, config.batch_size, config.independents) == (25, 64, 2)
    assert config.alphas == (0.1, 0.5, 0.9)
    assert (config.temperature, config.distillation_seeds) == (3, (2, 24, 42))
    assert config.pruning_levels == (0.1, 0.3, 0.5, 0.7, 0.9)
    assert config.perplexities == (60, 30, 15, 15)


def test_more_models_are_trained_than_the_paper_has_where_that_is_affordable():
    for dataset, preset in [
        ("digits", "published"),
        ("digits", "standard"),
        ("cifar10", "standard"),
    ]:
        config = ExperimentConfig(dataset=dataset, preset=preset)
        assert config.independents == 5
        assert config.distillation_seeds == (2, 24, 42, 0, 1)
    given = ExperimentConfig(independents=0, distillation_seeds=())
    assert (given.independents, given.distillation_seeds) == (0, ())


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_a_config_names_its_trainings_whatever_the_defaults_become(dataset):
    written = ExperimentConfig(dataset=dataset).to_dict()
    assert len(written["distillation_seeds"]) == {"digits": 5, "mnist": 3}[dataset]
    assert written["independents"] == {"digits": 5, "mnist": 2}[dataset]
    assert None not in written.values()


def axes(config):
    return (
        config.alpha_convention,
        config.soft_targets,
        config.pruning_scope,
        config.student_optimizer,
        config.data_order,
    )


def test_presets_set_the_axes_on_which_text_and_notebooks_disagree():
    published = ExperimentConfig(preset="published")
    standard = ExperimentConfig(preset="standard")
    assert axes(published) == ("labels", "probabilities", "all", "adamax", "fixed")
    assert axes(standard) == ("teacher", "logits", "kernels", "adam", "reshuffled")


def test_an_axis_that_is_given_wins_over_the_preset():
    config = ExperimentConfig(preset="standard", pruning_scope="all")
    assert axes(config) == ("teacher", "logits", "all", "adam", "reshuffled")


def test_the_run_directory_has_a_name_that_every_system_takes():
    config = ExperimentConfig(dataset="my/set:1.0.0", architecture="mine:build")
    assert config.name == "my.set.1.0.0-mine.build-published"


def test_json_types_read_back_to_an_equal_config():
    config = ExperimentConfig(alphas=[0, 1], perplexities=[9, 8, 7, 6], temperature=1)
    assert ExperimentConfig(**config.to_dict()) == config
    assert config.temperature == 1.0 and isinstance(config.temperature, float)


@pytest.mark.parametrize("start", ["made", "read"])
def test_a_config_with_another_preset_or_data_set_follows_it(start):
    config = ExperimentConfig(epochs=3)
    if start == "read":
        config = ExperimentConfig(**json.loads(json.dumps(config.to_dict())))
    for changes in (
        {"preset": "standard"},
        {"dataset": "mnist"},
        {"dataset": "cifar10", "preset": "standard"},
    ):
        replaced = dataclasses.replace(config, **changes)
        assert replaced == ExperimentConfig(epochs=3, **changes)
    assert dataclasses.replace(config, dataset="mnist").independents == 2


def test_what_was_asked_for_stays_when_the_preset_is_replaced():
    config = ExperimentConfig(data_order="reshuffled", independents=3)
    for changed in (config, pickle.loads(pickle.dumps(config))):
        changed = dataclasses.replace(changed, preset="standard", soft_targets=None)
        assert changed == ExperimentConfig(preset="standard", independents=3)


def test_rules_of_one_preset_do_not_go_by_the_name_of_another():
    with pytest.raises(InputError, match="preset: got standard with all rules of pu"):
        ExperimentConfig(preset="standard", **presets.RULES["published"])


def test_rules_that_are_not_the_presets_are_told_with_it():
    assert ExperimentConfig(preset="standard").rules == "standard"
    config = ExperimentConfig(data_order="reshuffled", pruning_scope="kernels")
    assert config.rules == "published, pruning_scope=kernels, data_order=reshuffled"


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ({}, ""),
        ({"dataset": "mnist", "independents": 2}, " --dataset=mnist"),
        ({"preset": "standard", "controls": ()}, " --preset=standard --controls="),
        ({"alphas": (0.1, 1 / 3)}, " --alphas=0.1,0.3333333333333333"),
        ({"compressions": ["all"]}, " --compressions=all"),
    ],
)
def test_the_command_makes_the_config_again(settings, flags):
    from kdfunc.runs.flags import config, parse

    command = ExperimentConfig(**settings).command
    assert command == f"kdfunc run{flags}"
    assert config(parse(command.split()[2:])) == ExperimentConfig(**settings)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("preset", "papers", "allowed: published, standard"),
        ("dataset", "", "give the name"),
        ("architecture", "vgg", "lenet, lenet-half, mobilenet, resnet50, or my_"),
        ("epochs", 0, "got 0"),
        ("epochs", 2.5, "got 2.5"),
        ("epochs", 10**20, "allowed: 1, 2, 3, ... 1000000"),
        ("epochs", 10**400, "allowed: 1, 2, 3, ... 1000000"),
        ("finetune_epochs", 10**20, "allowed: 1, 2, 3, ... 1000000"),
        ("batch_size", 2**31, "allowed: 1, 2, 3, ... 1000000"),
        ("independents", 10**8, "allowed: 0, 1, 2, ... 1000"),
        ("architecture", "../../x:build", "or my_module:build"),
        ("architecture", "x:", "or my_module:build"),
        ("architecture", 7, "or my_module:build"),
        ("alphas", (0.1, 0.1000000001), "each value once"),
        ("pruning_levels", (0.1, 0.1000000001), "each value once"),
        ("temperature", 10**400, "allowed: numbers above 0"),
        ("variants", ("epochs=99999999999",), "got 'epochs=99999999999'"),
        ("variants", ("student=../x:build",), "got 'student=../x:build'"),
        ("batch_size", 0, "got 0"),
        ("independents", -1, "got -1"),
        ("alphas", (0.1, 1.5), "got 1.5; allowed: numbers from 0 to 1"),
        ("alphas", (0.1, 0.1), "each value once"),
        ("alphas", (float("nan"),), "got nan"),
        ("temperature", 0, "got 0"),
        ("temperature", float("inf"), "got inf"),
        ("distillation_seeds", (-2,), "got -2"),
        ("quantization", ("int3",), "allowed: float16, dynamic-range"),
        ("quantization", "float16", r"give a list, such as ['float16']"),
        ("controls", "same-start", r"give a list, such as ['same-start']"),
        ("compressions", "all", r"give a list, such as ['all']"),
        ("variants", "epochs=50", r"give a list, such as ['epochs=50']"),
        ("controls", {"same-start"}, "got {'same-start'}; give a list of names"),
        ("quantization", None, "got None; give a list of names"),
        ("compressions", [1], "got (1,); give a list of names"),
        ("alphas", "0.5", "got '0.5'; give a list of numbers from 0 to 1"),
        ("pruning_levels", (1.0,), "got 1.0; allowed: shares from 0 to below 1"),
        ("compressions", ("prune90", "prune90"), "each value once"),
        ("finetune_epochs", 0, "got 0"),
        ("perplexities", (60, 30), "give four"),
        ("perplexities", (60, 30, 15, 0), "got 0"),
        (
            "variants",
            ("temperature=0",),
            "got 'temperature=0'; allowed: temp",
        ),
        ("variants", ("temperature",), "got 'temperature'"),
        ("variants", ("epochs=1.5",), "got 'epochs=1.5'"),
        ("variants", ("student=vgg",), "student=lenet|lenet-half|mobilenet|resnet50|"),
        ("variants", ("teacher=bert",), "and teacher=ensemble"),
        ("variants", ("alpha=0.1",), "got 'alpha=0.1'"),
        ("variants", ("temperature=10", "temperature=1e1"), "each value once"),
        ("seed", 2**32, "got 4294967296"),
        ("soft_targets", "softmax", "allowed: probabilities, logits"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_flag(field, value, told):
    with pytest.raises(InputError) as error:
        ExperimentConfig(**{field: value})
    assert str(error.value).startswith(f"{field}: ")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"variants": ("teacher=ensemble",), "independents": 0}, "independents=1"),
        ({"variants": ("epochs=50",), "alphas": ()}, "without any alphas"),
    ],
)
def test_variants_need_what_they_vary(settings, told):
    with pytest.raises(InputError, match=told):
        ExperimentConfig(**settings)
