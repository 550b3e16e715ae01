#!/usr/bin/env python3
"""Sends a year of flights to a running gateway, in their own time, with labels that come later.

    python3 models/recipe/replay_year.py --registry watched/models   # first: the two models that this is about
    python3 models/recipe/replay_year.py                             # a day of 2013 in each request, some minutes in all
    python3 models/recipe/replay_year.py --since 2013-07-01 --days-per-second 5

Each request has the flights of one day and says by `event_time` which. What came of them, late or on time, is told to the
admin listener once the flights of a later day have left: labels come late, as they do. Needs nothing but Python.
"""

import argparse
import collections
import csv
import gzip
import json
import pathlib
import shutil
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
STREAM = ROOT / "tests/fixtures/flights_stream.csv.gz"
TEXTS = ("origin", "carrier")
NUMBERS = ("hour", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
# The day on which the last flight has arrived, whatever its delay.
LABEL_DELAY_DAYS = 2


def post(url, document):
    body = json.dumps(document).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers, json.load(answer)


def request_of(day, flights):
    rows = len(flights)
    inputs = [
        {"name": name, "shape": [rows, 1], "datatype": "FP32", "data": [float(f[name] or "nan") for f in flights]}
        for name in NUMBERS
    ] + [
        {"name": name, "shape": [rows, 1], "datatype": "BYTES", "data": [f[name] for f in flights]} for name in TEXTS
    ]
    return {"parameters": {"event_time": f"{day}T12:00:00Z"}, "inputs": inputs}


def labels_of(request_id, flights):
    name = {"1": "late", "0": "on_time"}
    return {"labels": [{"request_id": request_id, "row": row, "label": name[f["y"]]} for row, f in enumerate(flights)]}


def write_registry(folder):
    """A champion and a challenger of the first half of the year, with what the shipped model says of training and columns."""
    model = folder / "flights"
    for version, fixture in (("1", "flights_champion"), ("2", "flights_challenger")):
        (model / version).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests/fixtures" / fixture / "model.onnx", model / version)
        shutil.copy(ROOT / "models/flights" / version / "baseline.json", model / version)
    for file in ("model.toml", "schema.toml"):
        shutil.copy(ROOT / "models/flights" / file, model)
    print(f"{folder}: serve it by `pointsman serve {folder} --config deploy/watch.toml`")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the HTTP listener")
    parser.add_argument("--admin-url", default="http://127.0.0.1:8003", help="the admin listener, which takes labels")
    parser.add_argument("--since", default="2013-01-01", metavar="DAY", help="begin with this day")
    parser.add_argument("--until", default="2013-12-01", metavar="DAY", help="end before this one")
    parser.add_argument("--days-per-second", type=float, default=4.0, help="how fast time passes; shadows need some of it")
    parser.add_argument("--registry", type=pathlib.Path, metavar="DIR", help="write the registry of both models there, and end")
    arguments = parser.parse_args()
    if arguments.registry:
        return write_registry(arguments.registry)

    days = collections.OrderedDict()
    with gzip.open(STREAM, "rt", newline="") as stream:
        for flight in sorted(csv.DictReader(stream), key=lambda flight: flight["event_ts"]):
            days.setdefault(flight["event_ts"][:10], []).append(flight)
    days = [(day, flights) for day, flights in days.items() if arguments.since <= day < arguments.until]
    if not days:
        sys.exit(f"there are no flights from {arguments.since} to {arguments.until}: the stream is of the year 2013")

    unlabelled = collections.deque()
    sent = labelled = 0
    for number, (day, flights) in enumerate(days, 1):
        began = time.monotonic()
        headers, _ = post(f"{arguments.url}/v2/models/flights/infer", request_of(day, flights))
        unlabelled.append((headers["pointsman-request-id"], flights))
        sent += len(flights)
        is_last = number == len(days)
        while len(unlabelled) > (0 if is_last else LABEL_DELAY_DAYS):
            _, answer = post(f"{arguments.admin_url}/v1/feedback", labels_of(*unlabelled.popleft()))
            labelled += answer["counts"].get("joined", 0)
        if number % 7 == 0 or is_last:
            print(f"\r{day}  {sent} flights, {labelled} labels", end="", flush=True)
        time.sleep(max(0.0, 1 / arguments.days_per_second - (time.monotonic() - began)))
    print()


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"the gateway does not answer: {error}; start it, as README.md says under 'Watch a model go bad'")
