import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eqspice.errors import InputError
from eqspice.training import tasks
from eqspice.training.encoding import Encoding, Scaling
from eqspice.training.tasks import TASKS, Task, get_task

BY_NAME = [name for name in TASKS if name != "csv"]


def test_sine_is_the_reference_task():
    task = get_task("sine", seed=3)
    x = task.encoding.from_volts(task.x)[:, 0]
    assert task.x.shape == (50, 3) and task.y.shape == (50, 4)
    assert task.x_test.shape == (64, 3) and task.y_test.shape == (64, 4)
    assert np.array_equal(task.x, np.stack([x, 1 - x, np.ones(50)], axis=1))
    assert ((x >= 0) & (x < 1)).all()
    assert np.allclose(task.y, 0.02 * np.sin(8 * x)[:, None])


def test_sine_options():
    task = get_task("sine", outputs=1, samples=7, test_samples=0, amplitude=0.1, frequency=3.0)
    assert task.y.shape == (7, 1) and task.x_test.shape == (0, 3)
    assert np.allclose(task.y[:, 0], 0.1 * np.sin(3 * task.x[:, 0]))


@pytest.mark.parametrize("name", BY_NAME)
def test_every_task_is_decided_by_its_seed(name):
    first, again, other = get_task(name, 5), get_task(name, 5), get_task(name, 6)
    assert first.digest == again.digest != other.digest
    assert first.name == name and first.description
    assert first.x.shape[1] == first.x_test.shape[1] == first.encoding.rows
    assert len(first.x_test) > 10


@pytest.mark.parametrize("name", BY_NAME)
def test_no_test_point_is_a_training_point_of_the_same_draw(name):
    task = get_task(name)
    if name in ("digits", "iris", "wine", "breast_cancer"):
        assert len(task.x) + len(task.x_test) == {"digits": 1797, "iris": 150, "wine": 178}.get(name, 569)
    else:
        assert not {row.tobytes() for row in task.x} & {row.tobytes() for row in task.x_test}


@pytest.mark.parametrize("name", BY_NAME)
def test_scaling_can_be_undone(name):
    task = get_task(name)
    raw = task.encoding.from_volts(task.x_test)
    assert np.allclose(task.encoding.to_volts(raw), task.x_test)
    assert np.allclose(task.target_scaling.to_volts(task.target_scaling.from_volts(task.y)), task.y)


@pytest.mark.parametrize("name", ["xor", "moons", "spirals", "iris", "digits"])
def test_targets_name_the_class(name):
    task = get_task(name)
    assert set(np.unique(task.labels)) == set(range(len(task.classes)))
    found = (task.y[:, 0] > 0).astype(int) if task.y.shape[1] == 1 else task.y.argmax(axis=1)
    assert np.array_equal(found, task.labels)
    volts = 0.1 if task.y.shape[1] == 1 else 0.3
    assert np.array_equal(np.unique(task.y), [-volts, volts])


def test_inputs_fill_their_range_and_have_a_bias_row():
    task = get_task("surface", input_volts=0.3)
    assert np.allclose(task.x.min(axis=0), [-0.3, -0.3, 0.3]) and np.allclose(task.x.max(axis=0), 0.3)


def test_known_values_of_the_formulas():
    surface = get_task("surface")
    x = surface.encoding.from_volts(surface.x)
    y = surface.target_scaling.from_volts(surface.y)
    assert np.allclose(y[:, 0], np.sin(np.pi * x[:, 0]) * np.cos(np.pi * x[:, 1]))
    xor = get_task("xor", noise=0.0)
    signs = np.sign(xor.encoding.from_volts(xor.x))
    assert np.array_equal(xor.labels, (signs[:, 0] * signs[:, 1] < 0).astype(int))
    spirals = get_task("spirals", noise=0.0, turns=1.0)
    points = spirals.encoding.from_volts(spirals.x)
    radius = np.hypot(*points.T)
    angle = 2 * np.pi * (radius - 0.1) / 0.9 + np.pi * spirals.labels
    assert np.allclose(points, radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def test_split_keeps_the_share_of_every_class():
    task = get_task("iris", test_fraction=0.2)
    assert np.array_equal(np.bincount(task.labels_test), [10, 10, 10])


def test_sample_presents_every_point_before_any_again():
    task = get_task("sine", samples=5)
    rng = np.random.default_rng(0)
    order = task.sample(0, 12, rng)
    assert order.dtype == np.int64 and len(order) == 12
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert len(set(order[10:])) == 2
    assert not np.array_equal(task.sample(1, 5, rng), task.sample(2, 5, rng))
    with pytest.raises(InputError, match="samples: 0"):
        task.sample(0, 0, rng)


@pytest.mark.parametrize("name", ["sine", "iris", "xor", "surface"])
def test_a_task_survives_storage(name):
    task = get_task(name, 4)
    again = Task.from_arrays(task.to_arrays())
    assert again.digest == task.digest
    assert (again.name, again.kind, again.classes, again.description) == (
        task.name,
        task.kind,
        task.classes,
        task.description,
    )
    assert again.encoding.bias == task.encoding.bias and again.encoding.complement == task.encoding.complement


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sin", {}, "task: 'sin' is not known.*sine, surface"),
        ("sine", {"points": 3}, r"task.options \(of sine\): 'points' is not known.*samples"),
        ("sine", {"samples": 0}, "samples: 0 is not allowed.*1 or more"),
        ("sine", {"samples": "5"}, "samples: '5' is not allowed"),
        ("sine", {"outputs": True}, "outputs: True"),
        ("sine", {"amplitude": float("nan")}, "amplitude: nan"),
        ("sine", {"seed": -1}, "seed"),
        ("moons", {"noise": -0.1}, "noise: -0.1"),
        ("friedman1", {"features": 4}, "features: 4 is not allowed.*5 or more"),
        ("iris", {"test_fraction": 1.0}, "test_fraction: 1 is not allowed"),
        ("iris", {"input_volts": 0}, "input_volts: 0"),
        ("csv", {}, "task.options.path: is missing"),
    ],
)
def test_what_is_not_allowed_is_named(name, options, message):
    with pytest.raises(InputError, match=message):
        get_task(name, options.pop("seed", 0), **options)


class TestArrays:
    x = np.array([[0.0, 10.0], [1.0, 20.0], [2.0, 40.0]])
    y = np.array([1.0, 2.0, 4.0])

    def test_scaled(self):
        task = tasks.arrays(
            self.x, self.y, self.x[:1] * 2, self.y[:1] * 2, input_volts=0.2, target_volts=0.05
        )
        assert np.allclose(task.x, [[-0.2, -0.2, 0.2], [0, -0.2 / 3, 0.2], [0.2, 0.2, 0.2]])
        assert np.allclose(task.y[:, 0], [-0.05, -0.05 / 3, 0.05])
        assert np.allclose(task.encoding.from_volts(task.x_test), [[0.0, 20.0]])
        assert np.allclose(task.target_scaling.from_volts(task.y_test), [[2.0]])

    def test_volts(self):
        task = tasks.arrays(self.x, self.y, scale=False)
        assert np.array_equal(task.x, self.x) and np.array_equal(task.y[:, 0], self.y)
        assert task.x_test.shape == (0, 2) and task.y_test.shape == (0, 1)

    def test_given_arrays_are_copied(self):
        x = self.x.copy()
        task = tasks.arrays(x, self.y, scale=False)
        x[:] = 7
        assert np.array_equal(task.x, self.x)

    def test_classes_of_any_type(self):
        task = tasks.arrays(self.x, ["b", "a", "c"], self.x[:1], ["c"], kind="classification")
        assert task.classes == ("a", "b", "c")
        assert task.labels.tolist() == [1, 0, 2] and task.labels_test.tolist() == [2]

    def test_a_constant_column_is_zero_volts_and_comes_back(self):
        task = tasks.arrays(np.full((3, 1), 5.0), self.y)
        assert np.array_equal(task.x[:, 0], np.zeros(3))
        assert np.array_equal(task.encoding.from_volts(task.x)[:, 0], np.full(3, 5.0))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"x": [[1.0, np.nan]], "y": [1.0]}, r"x\[0, 1\]: nan is not allowed, it must be finite"),
            ({"x": [[1.0]], "y": [np.inf]}, r"y\[0, 0\]: inf is not allowed"),
            ({"x": np.zeros((0, 2)), "y": []}, "x: is empty"),
            ({"x": np.zeros((3, 0)), "y": [1, 2, 3]}, "x: has 0 columns, at least 1"),
            ({"x": np.zeros((3, 2)), "y": np.zeros((3, 0))}, "y: has 0 columns"),
            ({"x": np.zeros((3, 2)), "y": [1, 2]}, "y: has 2 rows, x has 3"),
            ({"x": np.zeros(3), "y": [1, 2, 3]}, r"x: has shape \(3,\); two dimensions"),
            ({"x": [[1], [2, 3]], "y": [1, 2]}, "x: not a matrix of numbers"),
            ({"x": [["a"]], "y": [1]}, "x: not a matrix of numbers"),
            ({"x": [[1.0]], "y": ["a"]}, "y: not numbers"),
            ({"x": [[1.0]], "y": [1], "x_test": [[1.0]]}, "x_test, y_test: give both"),
            ({"x": [[1.0]], "y": [1], "x_test": [[1.0, 2]], "y_test": [1]}, "x_test: has 2 columns, 1 are"),
            ({"x": [[1.0]], "y": [1], "kind": "cluster"}, "kind: 'cluster' is not known"),
            ({"x": [[1.0]], "y": [1], "kind": "classification"}, "y: has 1 class"),
            (
                {"x": [[1], [2]], "y": [1, 2], "x_test": [[1]], "y_test": [3], "kind": "classification"},
                "y_test: class 3 is not in the training set, which has 1, 2",
            ),
            ({"x": [[1], [2]], "y": [1, 2], "kind": "classification", "scale": False}, "scale: False"),
            ({"x": [[1], [2]], "y": [1.0, np.nan], "kind": "classification"}, r"y\[1\]: nan"),
            ({"x": [[1.0]], "y": [1.0], "target_volts": 0.0}, "target_volts: 0.0"),
        ],
    )
    def test_refusals(self, arguments, message):
        with pytest.raises(InputError, match=message):
            tasks.arrays(**arguments)


class TestCsv:
    def write(self, tmp_path, text):
        path = tmp_path / "table.csv"
        path.write_text(text)
        return path

    def test_regression(self, tmp_path):
        path = self.write(tmp_path, "a,b,c\n" + "".join(f"{i},{2 * i},{3 * i}\n" for i in range(20)))
        task = get_task("csv", path=str(path), targets=["b"])
        assert task.kind == "regression" and task.x.shape == (15, 3) and task.x_test.shape == (5, 3)
        raw = task.encoding.from_volts(task.x)
        assert np.allclose(task.target_scaling.from_volts(task.y)[:, 0], 2 * raw[:, 0])
        assert np.allclose(raw[:, 1], 3 * raw[:, 0])

    def test_text_targets_are_classes(self, tmp_path):
        path = self.write(tmp_path, "a,label\n" + "1,x\n2,y\n3,z\n" * 8)
        task = get_task("csv", path=path)
        assert task.kind == "classification" and task.classes == ("x", "y", "z")

    def test_one_target_by_name(self, tmp_path):
        path = self.write(tmp_path, "ab,c\n" + "1,2\n3,4\n" * 4)
        assert get_task("csv", path=path, targets="ab").x.shape == (6, 2)

    @pytest.mark.parametrize(
        ("text", "options", "message"),
        [
            ("a,b\n1,2\n3,\n", {}, "column b, data row 2: a value is missing"),
            ("a,b\nx,2\n3,4\n", {}, "column a: inputs must be numbers"),
            ("a,b\n1,2\n", {"targets": ["q"]}, "targets: 'q' is not known. Choose one of: a, b"),
            ("a\n1\n", {}, "at least one input column"),
            ("a,b\n", {}, "one row"),
            ("", {}, "cannot be read as a table"),
            ("a,b\n1,x\n2,y\n", {"kind": "regression"}, "column b is not numeric"),
            ("a,b\n1,x\n2,y\n", {"kind": "fit"}, "kind: 'fit' is not known"),
        ],
    )
    def test_refusals(self, tmp_path, text, options, message):
        with pytest.raises(InputError, match=message):
            get_task("csv", path=self.write(tmp_path, text), **options)

    def test_no_file(self, tmp_path):
        with pytest.raises(InputError, match="nothing.csv"):
            get_task("csv", path=tmp_path / "nothing.csv")


@given(
    hnp.arrays(float, (4, 3), elements=st.floats(-1e3, 1e3)),
    st.floats(0.01, 2.0),
    st.booleans(),
)
def test_fit_maps_the_range_onto_the_amplitude_and_back(values, volts, common):
    spans = np.ptp(values, axis=0)
    values = np.where((spans > 0) & (spans < 1e-6), 0.0, values)
    encoding = Encoding(Scaling.fit(values, volts, common), complement=volts, bias=volts)
    rows = encoding.to_volts(values)
    assert rows.shape == (4, encoding.rows)
    assert np.abs(rows[:, :3]).max() <= volts * (1 + 1e-9)
    assert np.allclose(rows[:, 3:6], volts - rows[:, :3])
    assert np.allclose(encoding.from_volts(rows), values, atol=1e-9)


def test_scaling_refuses_a_zero_gain():
    with pytest.raises(InputError, match="gain"):
        Scaling(np.zeros(2), np.array([1.0, 0.0]))
