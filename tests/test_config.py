import pytest

from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError


def test_defaults_are_the_papers_protocol():
    config = ExperimentConfig()
    assert (config.epochs, config.batch_size, config.independents) == (25, 64, 2)
    assert config.alphas == (0.1, 0.5, 0.9)
    assert (config.temperature, config.distillation_seeds) == (3, (2, 24, 42))
    assert config.pruning_levels == (0.1, 0.3, 0.5, 0.7, 0.9)
    assert config.perplexities == (60, 30, 15, 15)


def axes(config):
    return (
        config.alpha_convention,
        config.soft_targets,
        config.pruning_scope,
        config.student_optimizer,
    )


def test_presets_set_the_axes_on_which_text_and_notebooks_disagree():
    published = ExperimentConfig(preset="published")
    standard = ExperimentConfig(preset="standard")
    assert axes(published) == ("labels", "probabilities", "all", "adamax")
    assert axes(standard) == ("teacher", "logits", "kernels", "adam")


def test_an_axis_that_is_given_wins_over_the_preset():
    config = ExperimentConfig(preset="standard", pruning_scope="all")
    assert axes(config) == ("teacher", "logits", "all", "adam")


def test_json_types_read_back_to_an_equal_config():
    config = ExperimentConfig(alphas=[0, 1], perplexities=[9, 8, 7, 6], temperature=1)
    assert ExperimentConfig(**config.to_dict()) == config
    assert config.temperature == 1.0 and isinstance(config.temperature, float)


def test_differences_name_the_fields():
    one, other = ExperimentConfig(epochs=1), ExperimentConfig(epochs=2)
    assert one.differences(other) == {"epochs": (1, 2)}


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("preset", "papers", "allowed: published, standard"),
        ("dataset", "", "name one"),
        ("architecture", "vgg", "lenet, mobilenet, resnet50, or my_module:build"),
        ("epochs", 0, "got 0"),
        ("epochs", 2.5, "got 2.5"),
        ("batch_size", 0, "got 0"),
        ("independents", -1, "got -1"),
        ("alphas", (0.1, 1.5), "got 1.5; allowed: numbers from 0 to 1"),
        ("alphas", (0.1, 0.1), "each value once"),
        ("alphas", (float("nan"),), "got nan"),
        ("temperature", 0, "got 0"),
        ("temperature", float("inf"), "got inf"),
        ("distillation_seeds", (-2,), "got -2"),
        ("quantization", ("int3",), "allowed: float16, int8"),
        ("pruning_levels", (1.0,), "got 1.0; allowed: shares from 0 to below 1"),
        ("perplexities", (60, 30), "give four"),
        ("perplexities", (60, 30, 15, 0), "got 0"),
        ("seed", 2**32, "got 4294967296"),
        ("soft_targets", "softmax", "allowed: probabilities, logits"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_flag(field, value, told):
    with pytest.raises(InputError) as error:
        ExperimentConfig(**{field: value})
    assert str(error.value).startswith(f"--{field}: ")
    assert told in str(error.value)
