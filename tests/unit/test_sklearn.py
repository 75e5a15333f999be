"""Estimators: scikit-learn's own checks, pipelines, and learning on held-out data."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from eqspice.sklearn import AnalogMLPClassifier, AnalogMLPRegressor

QUICK = [AnalogMLPRegressor(hidden=(4,), epochs=4), AnalogMLPClassifier(hidden=(4,), epochs=4)]


@parametrize_with_checks(QUICK)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_iris_on_held_out_data():
    x, y = load_iris(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=0, stratify=y)
    model = AnalogMLPClassifier(hidden=(10,), epochs=15, random_state=0).fit(x, y)
    assert model.score(x_test, y_test) >= 0.9
    assert model.decision_function(x_test).shape == (len(x_test), 3)


def test_regression_on_held_out_data():
    rng = np.random.default_rng(0)
    x, x_test = rng.uniform(-1, 1, (100, 2)), rng.uniform(-1, 1, (50, 2))
    model = AnalogMLPRegressor(hidden=(8,), epochs=15, random_state=0)
    model.fit(x, 3.0 + 2.0 * x[:, 0] - x[:, 1])
    assert model.score(x_test, 3.0 + 2.0 * x_test[:, 0] - x_test[:, 1]) > 0.95


def test_pipeline_cross_validation_and_grid_search():
    x, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), AnalogMLPClassifier(hidden=(4,), epochs=3, random_state=0))
    assert np.isfinite(cross_val_score(pipeline, x, y, cv=2)).all()
    search = GridSearchCV(pipeline, {"analogmlpclassifier__hidden": [(2,), (4,)]}, cv=2).fit(x, y)
    assert search.best_params_["analogmlpclassifier__hidden"] in [(2,), (4,)]


def test_equal_seeds_give_equal_networks():
    x, y = load_iris(return_X_y=True)
    one, two = (AnalogMLPClassifier(hidden=(3,), epochs=1, random_state=5).fit(x, y) for _ in range(2))
    for a, b in zip(one.weights_, two.weights_, strict=True):
        assert np.array_equal(a, b)


def test_a_bad_setting_is_named():
    with pytest.raises(ValueError, match="preset: 'none'"):
        AnalogMLPRegressor(preset="none").fit(np.ones((4, 1)), np.arange(4.0))
