import json

import numpy as np
import pytest

from eqspice.errors import InputError
from eqspice.training import tasks
from eqspice.training.experiment import Experiment, load_experiment, make_experiment
from eqspice.training.sections import EngineChoice, Learning, Network

FULL = """
preset = "resistive"
seed = 7
[task]
name = "sine"
options = { samples = 20 }
[network]
hidden = [8, 4]
[pdk]
corner = "ss"
temperature = 85
[learning]
lr = 0.01
update_gain = [20, 10, 3]
rows = "all"
epochs = 5
[engine]
fidelity = "phase"
points_per_plateau = 3
"""


def test_file_with_overrides(tmp_path):
    path = tmp_path / "sine.toml"
    path.write_text(FULL)
    experiment = load_experiment(path, ["learning.lr=0.02", "preset=reference", "task.options.outputs=1"])
    assert experiment.task.options == {"samples": 20, "outputs": 1}
    assert experiment.network.hidden == (8, 4) and experiment.preset == "reference" and experiment.seed == 7
    assert experiment.pdk.corner == "ss" and experiment.pdk.temperature == 85.0 and experiment.pdk.kit is None
    assert experiment.learning == Learning(lr=0.02, update_gain=(20, 10, 3), rows="all", epochs=5)
    assert experiment.engine == EngineChoice(fidelity="phase", points_per_plateau=3)


def test_defaults():
    experiment = Experiment(task="sine")
    assert experiment.network.hidden == (32,) and experiment.preset == "reference"
    assert experiment.learning.epochs == 32 and experiment.engine.lte == 1e-3


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("network.hidden=[64]", {"hidden": [64]}),
        ("network.hidden = [64, 8]", {"hidden": [64, 8]}),
        ("network.hidden=[]", {"hidden": []}),
    ],
)
def test_override_is_read_as_toml(override, expected):
    assert make_experiment({"task": "sine"}, [override]).dump()["network"] == expected


def test_overrides_do_not_change_the_settings_given():
    settings = {"task": {"name": "sine", "options": {}}}
    make_experiment(settings, ["task.options.samples=3", "learning.epochs=2"])
    assert settings == {"task": {"name": "sine", "options": {}}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learning.lr=-1", "^learning.lr: -1 is not allowed, it must be greater than 0.$"),
        ("learning.lr=nan", "learning.lr: nan is not allowed"),
        ("learning.rate=1", "^learning.rate is not known. Choose one of: lr, update_gain, rows,"),
        ("foo=1", "^foo is not known. Choose one of: task, network, preset"),
        (
            "network.hidden=[8,0]",
            r"^network.hidden\[1\]: 0 is not allowed, a layer needs at least 1 neuron.$",
        ),
        ("network.hidden=[-2]", r"network.hidden\[0\]: -2 is not allowed"),
        ("preset=best", "^preset: 'best' is not known. Choose one of: reference"),
        ("pdk.corner=xx", "pdk.corner: 'xx' is not allowed, it must be 'tt'"),
        ("pdk.temperature=200", "pdk.temperature: 200 is not allowed"),
        ("task.name=sin", "task: 'sin' is not known"),
        ("task.options.n=3", r"task.options \(of sine\): 'n' is not known"),
        ("learning.epochs=0", "learning.epochs: 0 is not allowed, it must be greater than or equal to 1"),
        ("learning.rows=two", "learning.rows: 'two' is not allowed, it must be 'one', 'all' or 'parallel'"),
        ("learning.update_gain=[1]", "learning.update_gain: has 1 values, 2 are needed"),
        ("engine.points_per_plateau=1", "engine.points_per_plateau: 1"),
        ("engine.fidelity=fast", "engine.fidelity: 'fast' is not allowed"),
        ("seed=-1", "seed: -1"),
        ("weights=[1]", "weights: not allowed in settings"),
        ("learning", "--set: 'learning' is not allowed, it must be section.key=value"),
        ("=3", "--set: '=3'"),
        ("preset.name=3", "preset: "),
        ("network.hidden.first=3", "network.hidden"),
    ],
)
def test_what_is_not_allowed_is_named(override, message):
    with pytest.raises(InputError, match=message):
        make_experiment({"task": "sine"}, [override])


def test_every_mistake_has_its_line():
    with pytest.raises(InputError) as caught:
        make_experiment({"task": "sine"}, ["learning.lr=0", "learning.epochs=0", "seed=-1", "engine.x=1"])
    assert len(str(caught.value).splitlines()) == 4


def test_sections_refuse_by_themselves():
    with pytest.raises(InputError, match=r"network.hidden\[0\]: 0"):
        Network(hidden=(0,))


@pytest.mark.parametrize(
    ("text", "message"), [("a = ", "is not TOML"), ("preset = 'reference'", "task: is missing")]
)
def test_bad_file(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_experiment(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="none.toml"):
        load_experiment(tmp_path / "none.toml")


def test_table_is_looked_for_beside_the_experiment(tmp_path):
    (tmp_path / "experiment.toml").write_text('[task]\nname = "csv"\noptions = { path = "t.csv" }\n')
    experiment = load_experiment(tmp_path / "experiment.toml")
    assert experiment.task.options["path"] == str(tmp_path / "t.csv")


def explicit() -> Experiment:
    return Experiment(
        task=tasks.sine(samples=6),
        network=Network(hidden=(2,)),
        learning=Learning(epochs=2),
        weights=[np.full((3, 2), 0.1), np.full((2, 4), -0.2)],
        order=[[0, 1, 2], [3, 4, 5]],
        row_order=np.zeros((2, 3, 2), int),
    )


def test_dump_is_plain_and_restores():
    experiment = explicit()
    plain = json.loads(json.dumps(experiment.dump()))
    again = Experiment.restore(plain, experiment.arrays())
    assert again == experiment and hash(again) == hash(experiment) and again.hash == experiment.hash
    assert again.task.data.digest == experiment.task.data.digest
    assert all(np.array_equal(a, b) for a, b in zip(again.weights, experiment.weights, strict=True))
    assert np.array_equal(again.order, experiment.order)


def test_without_arrays_restores_too():
    experiment = make_experiment({"task": "sine"}, ["learning.lr=0.01"])
    assert experiment.arrays() == {}
    assert Experiment.restore(experiment.dump(), {}) == experiment


def test_changed_arrays_are_noticed():
    experiment = explicit()
    arrays = experiment.arrays()
    arrays["weights_0"] = arrays["weights_0"] + 1e-12
    with pytest.raises(InputError, match="not those"):
        Experiment.restore(experiment.dump(), arrays)


def test_one_number_changes_the_hash():
    assert Experiment(task="sine").hash != Experiment(task="sine", seed=1).hash


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": [np.zeros((3, 32))]}, "weights: has 1 values, 2 are needed"),
        ({"weights": [np.full((3, 32), np.nan), np.zeros((32, 4))]}, r"weights\[0\]\[0, 0\]: nan"),
        ({"order": np.zeros((3, 2), int)}, "order: has 3 epochs, learning.epochs is 32"),
        ({"order": np.zeros((32, 2))}, "order: float64 array"),
        ({"order": np.full((32, 2), -1)}, "order: -1 is not allowed, every value must be 0 or more"),
        ({"order": np.full((32, 2), 50)}, "order: 50 is not allowed, points are 0 to 49"),
        ({"row_order": np.zeros((32, 2), int)}, "row_order: int64 array of shape"),
        ({"row_order": np.zeros((32, 2, 3), int)}, "row_order: has 3 layers, 2 are needed"),
        ({"row_order": np.full((32, 2, 2), -2)}, "row_order: -2"),
    ],
)
def test_explicit_arrays_are_checked(fields, message):
    with pytest.raises(InputError, match=message):
        Experiment(task=tasks.sine(), **fields)


def test_options_beside_data_are_refused():
    with pytest.raises(InputError, match="not allowed together with data"):
        Experiment(task={"name": "sine", "data": tasks.sine(), "options": {"samples": 3}})
