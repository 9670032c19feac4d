import dataclasses

import pytest

from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import plan


def test_the_papers_models_are_all_there():
    assert counts(dataset="mnist") == {
        "base": 1,
        "independent": 2,
        "student": 9,
        "control": 16,
        "quantized": 2,
        "pruned": 5,
    }
    assert counts(preset="standard") == {
        "base": 1,
        "independent": 5,
        "student": 15,
        "control": 20,
        "quantized": 2,
        "pruned": 5,
    }


def counts(**settings):
    families = [task.family for task in plan.make(ExperimentConfig(**settings))]
    return {family: families.count(family) for family in families if family}


def test_a_group_is_what_differs_by_chance_alone():
    config = ExperimentConfig(
        variants=("epochs=50", "temperature=0.5", "student=my_module:build"),
        compressions=("prune90+finetune", "cluster16"),
    )
    groups = {}
    for task in plan.make(config):
        if task.family:
            groups.setdefault(task.group, []).append(task)
    assert {len(members) for members in groups.values()} == {1, 4, 5}
    assert {name for name, members in groups.items() if len(members) > 1} == {
        "independent",
        *(f"student-alpha{alpha}" for alpha in (0.1, 0.5, 0.9)),
        *config.controls,
        *("epochs=50", "epochs=50-alone", "temperature=0.5"),
        *("student=my_module.build", "student=my_module.build-alone"),
    }
    for members in groups.values():
        assert len({task.family for task in members}) == 1
    assert {"pruned-90", "dynamic-range", "cluster16"} <= groups.keys()


def test_small_alphas_are_groups_of_their_own():
    tasks = plan.make(ExperimentConfig(alphas=(1e-5, 1e-6)))
    assert {task.group for task in tasks if task.family == "student"} == {
        "student-alpha1e-05",
        "student-alpha1e-06",
    }


def test_names_are_unique_and_needs_come_first():
    variants = ("teacher=ensemble", "student=lenet", "epochs=50", "temperature=0.5")
    tasks = plan.make(
        ExperimentConfig(
            alphas=(0, 0.25, 1), pruning_levels=(0.125,), variants=variants
        )
    )
    seen = set()
    for task in tasks:
        assert task.name not in seen
        assert set(task.needs) <= seen
        seen.add(task.name)


def orders_of(**settings):
    orders = {}
    for task in plan.make(ExperimentConfig(**settings)):
        if task.kind == "train":
            orders.setdefault(task.settings["order"], []).append(task.name)
    return orders


def test_students_and_controls_of_one_seed_share_their_data_order():
    orders = orders_of(data_order="reshuffled")
    assert orders.pop("seed2")[:3] == [
        f"student-alpha{a}-seed2" for a in (0.1, 0.5, 0.9)
    ]
    for seed in (24, 42, 0, 1):
        assert len(orders.pop(f"seed{seed}")) == 8
    assert all(len(names) == 1 for names in orders.values())


def test_published_all_models_but_students_of_other_seeds_share_one_data_order():
    orders = orders_of(seed=42, dataset="mnist")
    assert orders.keys() == {"seed2", "seed24", "seed42"}
    assert orders["seed42"][:3] == ["base", "independent-1", "independent-2"]
    assert "student-alpha0.1-seed42" in orders["seed42"]


def test_a_control_that_would_be_the_base_model_itself_is_left_out():
    assert "same-start-base-optimizer-seed42" not in controls()
    assert "same-start-base-optimizer-seed42" in controls(seed=1)
    assert "same-start-seed42" not in controls(preset="standard", data_order="fixed")
    assert "same-start-seed42" in controls(preset="standard")


def controls(**settings):
    tasks = plan.make(ExperimentConfig(**settings))
    return {task.name: task.settings for task in tasks if task.family == "control"}


def test_controls_differ_from_students_in_one_thing_each():
    student = named("student-alpha0.1-seed2")
    found = controls()
    base_optimizer = found["same-start-base-optimizer-seed2"]
    assert (found["same-start-seed2"]["optimizer"], base_optimizer["optimizer"]) == (
        "adamax",
        "adam",
    )
    assert "teacher" not in found["same-start-seed2"]
    expected = {"no-knowledge": {"teacher": "kdfunc.distillation:random_logits"}}
    expected["other-targets"] = {"soft_targets": "logits"}
    for control, change in expected.items():
        settings = dict(found[f"{control}-seed2"])
        assert settings.pop("control") == control
        assert settings == {**student.settings, **change}
    settings = dict(found["other-teacher-1-seed2"])
    assert settings.pop("control") == "other-teacher"
    assert settings == {**student.settings, "teacher": "independent-1"}
    assert "start" not in found["same-start-seed2"]
    assert found["independent-optimizer-1"]["start"] == "independent-optimizer-1"


def named(name, **settings):
    (task,) = (t for t in plan.make(ExperimentConfig(**settings)) if t.name == name)
    return task


def test_independent_teachers_take_turns():
    for dataset, teachers in {"mnist": [1, 2, 1], "digits": [1, 2, 3, 4, 5]}.items():
        tasks = plan.make(ExperimentConfig(dataset=dataset))
        found = [t for t in tasks if t.settings.get("control") == "other-teacher"]
        assert [t.name for t in found] == [
            f"other-teacher-{number}-seed{seed}"
            for number, seed in zip(teachers, (2, 24, 42, 0, 1), strict=False)
        ]
        for task, number in zip(found, teachers, strict=True):
            assert task.needs == ("data", "base", f"teacher-independent-{number}")
    teacher = named("teacher-independent-2")
    assert teacher.settings == {"members": ("independent-2",)}
    assert teacher.needs == ("data", "independent-2")


def test_no_other_teacher_without_independent_models_or_alphas():
    for lacking in ({"independents": 0}, {"alphas": ()}):
        tasks = plan.make(ExperimentConfig(**lacking))
        assert not [task.name for task in tasks if "other-teacher" in task.name]


def test_students_have_two_zeros_where_their_optimizer_is_not_the_base_models():
    """As many independents with the students' optimizer as with the base model's."""
    for dataset, number in {"mnist": 2, "digits": 5}.items():
        found = controls(dataset=dataset)
        assert [name for name in found if name.startswith("independent")] == [
            f"independent-optimizer-{k + 1}" for k in range(number)
        ]


def test_a_control_that_would_be_another_model_is_left_out():
    found = controls(preset="standard")
    assert {settings["control"] for settings in found.values()} == {
        "same-start",
        "no-knowledge",
        "other-teacher",
        "other-targets",
    }
    assert found["other-targets-seed2"]["soft_targets"] == "probabilities"
    assert found["other-targets-seed2"]["alpha"] == 0.9  # leans most on the teacher


def test_no_controls_on_request():
    assert controls(controls=()) == {}


def variants(*names, **settings):
    tasks = plan.make(ExperimentConfig(variants=names, **settings))
    return {task.name: task for task in tasks if task.family == "variant"}


def test_variants_are_students_with_one_setting_changed():
    student = named("student-alpha0.1-seed2")
    changes = {
        "temperature=10": ("T 10", {"changes": {"temperature": 10}}),
        "epochs=50": ("50 ep", {"changes": {"epochs": 50}}),
        "teacher=ensemble": ("Ensemble", {"teacher": "ensemble"}),
        "student=mobilenet": (
            "MobileNet",
            {"start": "student=mobilenet", "changes": {"architecture": "mobilenet"}},
        ),
    }
    found = variants(*changes)
    assert len(found) == 6 * 5
    for variant, (label, change) in changes.items():
        task = found[f"{variant}-seed2"]
        assert task.label == label
        assert task.settings == {**student.settings, **change, "variant": variant}
    assert found["epochs=50-seed2"].cost == 50
    assert "teacher-ensemble" in found["teacher=ensemble-seed2"].needs


def test_a_change_of_start_or_length_brings_the_same_without_a_teacher():
    found = variants("epochs=50", "student=my_module:build", "temperature=1")
    alone = {name: task for name, task in found.items() if "-alone-" in name}
    assert set(alone) == {
        f"{variant}-alone-seed{seed}"
        for variant in ("epochs=50", "student=my_module.build")
        for seed in (2, 24, 42, 0, 1)
    }
    for name, task in alone.items():
        taught = found[name.replace("-alone", "")]
        assert task.settings.items() < taught.settings.items()
        assert not {"teacher", "alpha"} & task.settings.keys()
        assert "teacher" not in task.needs
        assert task.label == f"{taught.label} alone"


def test_variants_have_the_alpha_that_leans_most_on_the_teacher():
    for preset, alpha in {"published": 0.1, "standard": 0.9}.items():
        task = variants("temperature=10", preset=preset)["temperature=10-seed2"]
        assert task.settings["alpha"] == alpha


def test_a_variant_that_changes_nothing_is_left_out():
    assert variants("temperature=3", "epochs=25") == {}


def test_no_teacher_without_a_student_of_it():
    names = [task.name for task in plan.make(ExperimentConfig())]
    assert "teacher" in names and "teacher-ensemble" not in names
    untaught = plan.make(ExperimentConfig(alphas=()))
    assert not [task.name for task in untaught if task.kind == "teacher"]


def test_a_stage_brings_what_it_needs():
    chosen = plan.select(plan.make(ExperimentConfig(alphas=(0.5,))), ["prune"])
    assert [task.name for task in chosen] == [
        "data",
        "base",
        *(f"pruned-{level}" for level in (10, 30, 50, 70, 90)),
    ]


def test_pipelines_cost_their_trainings():
    config = ExperimentConfig(
        compressions=["all", "prune30+finetune+qat+full-int8"], finetune_epochs=3
    )
    assert len(config.compressions) > 20  # a run's config.json lists what it made
    tasks = {t.name: t for t in plan.make(config) if t.stage == "compress"}
    assert tasks.keys() == set(config.compressions)
    assert tasks["full-int8"].cost < 1
    assert tasks["cluster16+finetune"].cost < 1
    assert 3 < tasks["prune30+finetune+qat+full-int8"].cost < 4


def test_what_pipelines_have_in_common_is_tuned_once():
    config = ExperimentConfig(
        compressions=[
            "prune50+finetune",
            "prune50+finetune+cluster16+finetune+dynamic-range",
            "prune50+finetune+sparse",
            "prune50+mine:f+finetune",
        ],
        finetune_epochs=3,
    )
    tasks = {t.name: t for t in plan.make(config)}
    once, twice = "tuned-prune50+finetune", "tuned-prune50+finetune+cluster16+finetune"
    assert [t for t in tasks if t.startswith("tuned-")] == [once, twice]
    assert tasks[once].needs == ("data", "base")
    assert tasks[twice].needs == ("data", once)
    assert tasks[once].cost == tasks[twice].cost == 3
    needs = [tasks[name.replace(":", ".")].needs[1] for name in config.compressions]
    assert needs == [once, twice, once, "base"]
    assert tasks["prune50+mine.f+finetune"].cost > 3


def test_unknown_stage_is_refused():
    with pytest.raises(InputError, match="stages: got 'tain'; allowed: train, "):
        plan.check_stages(["tain"])


def test_a_stage_that_is_no_list_is_not_read_letter_by_letter():
    with pytest.raises(
        InputError, match=r"got 'train'; give a list, such as \['train'"
    ):
        plan.check_stages("train")


@pytest.mark.parametrize("stages", [[], [""]])
def test_no_stage_is_refused(stages):
    with pytest.raises(InputError, match="stages: got ''; allowed: train, "):
        plan.check_stages(stages)


def test_of_a_larger_plan_only_what_is_asked_for_is_chosen():
    """With the names that the larger plan has: a seed's other teacher is its own."""
    whole = ExperimentConfig(
        distillation_seeds=(2, 24, 42),
        compressions=("finetune", "prune90+finetune+sparse", "int4"),
        variants=("epochs=50", "temperature=10"),
    )
    wanted = ExperimentConfig(
        distillation_seeds=(24,),
        quantization=(),
        pruning_levels=(0.5,),
        compressions=("prune90+finetune+sparse",),
        controls=("same-start", "other-teacher"),
        variants=("epochs=50",),
    )
    chosen = plan.select(plan.make(whole), wanted=wanted)
    assert [task.name for task in chosen if task.kind != "teacher"] == [
        "data",
        "base",
        *(f"independent-{k}" for k in range(1, 6)),
        *(f"student-alpha{alpha}-seed24" for alpha in (0.1, 0.5, 0.9)),
        "same-start-seed24",
        "other-teacher-2-seed24",
        "epochs=50-seed24",
        "epochs=50-alone-seed24",
        "pruned-50",
        "tuned-prune90+finetune",
        "prune90+finetune+sparse",
    ]
    assert plan.select(plan.make(whole), wanted=whole) == plan.make(whole)


def test_of_a_larger_plan_fewer_alphas_and_models_are_chosen():
    whole = ExperimentConfig(
        distillation_seeds=(2, 24), base_models=3, pruning_levels=(0.9,)
    )
    wanted = ExperimentConfig(
        alphas=(0.5,),
        independents=1,
        distillation_seeds=(2, 24),
        base_models=2,
        quantization=(),
        pruning_levels=(0.9,),
        controls=("independent-optimizer", "other-teacher"),
    )
    chosen = plan.select(plan.make(whole), wanted=wanted)
    assert [task.name for task in chosen if task.kind != "teacher"] == [
        "data",
        "base",
        "independent-1",
        "student-alpha0.5-seed2",
        "student-alpha0.5-seed24",
        "independent-optimizer-1",
        "pruned-90",
        "pruned-90-of-independent-1",
    ]
    one = dataclasses.replace(wanted, alphas=(0.1,))  # other students lean on it
    names = [task.name for task in plan.select(plan.make(whole), wanted=one)]
    assert "other-teacher-1-seed2" in names and "other-teacher-2-seed24" in names
