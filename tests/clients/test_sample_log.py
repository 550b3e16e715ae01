"""The files of the sample log, read by what people read Parquet files with."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas
import pyarrow.parquet
import pytest
import requests

import golden
from harness.gateway import Gateway

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5], [5.9, 3.0, 4.2, 1.5]]
ASKED = 30


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log of requests with three rows each, all in Parquet files."""
    directory = tmp_path_factory.mktemp("log")
    config = (
        f'[sample_log]\ndirectory = "{directory}"\nuniform_rate = 1.0\ndisk_reserve = "1MiB"\n'
        'batch_wait = "10ms"\npart_age = "200ms"\n'
    )
    with Gateway(golden.MODELS, config) as gateway:
        tensor = {"name": "X", "shape": [3, 4], "datatype": "FP32", "data": FLOWERS}
        for _ in range(ASKED):
            answer = requests.post(f"{gateway.url}/v2/models/iris/infer", json={"inputs": [tensor]}, timeout=30)
            answer.raise_for_status()
        deadline = time.monotonic() + 30
        while True:
            stats = requests.get(f"http://{gateway.admin}/v1/log", timeout=30).json()
            written = sum(model["written"] for model in stats["models"])
            if written == ASKED and stats["parts"] > 0 and stats["spool_bytes"] == 0:
                break
            assert time.monotonic() < deadline, stats
            time.sleep(0.05)
        yield directory


def test_pandas_reads_the_folder_as_it_is(log: Path) -> None:
    rows = pandas.read_parquet(log)
    assert len(rows) == 3 * ASKED
    assert set(rows["model"].astype(str)) == {"iris"}
    assert str(rows["ts"].dtype) == "datetime64[ns, UTC]"
    features = [name for name in rows.columns if name.startswith("in.")]
    assert len(features) == 4
    first = rows[rows["row"] == 1].iloc[0]
    assert [round(float(first[name]), 4) for name in features] == FLOWERS[1]
    assert len(first["out.probabilities"]) == 3
    assert abs(sum(first["out.probabilities"]) - 1) < 1e-5
    weighted = (1 / rows[rows["row"] == 0]["inclusion_prob"]).sum()
    assert weighted == ASKED


def test_duckdb_reads_the_folder_as_it_is(log: Path) -> None:
    files = f"{log}/**/*.parquet"
    asked, examples, models = duckdb.execute(
        f"select sum(1 / inclusion_prob) filter (row = 0), count(*), list(distinct model) from read_parquet('{files}')"
    ).fetchone()
    assert (asked, examples, models) == (ASKED, 3 * ASKED, ["iris"])
    likeliest, count = duckdb.execute(
        f"select \"out.label\", count(*) from read_parquet('{files}') where \"in.{_last_feature(log)}\" > 2 group by 1"
    ).fetchone()
    assert (likeliest, count) == (2, ASKED)


def _last_feature(log: Path) -> str:
    file = next(log.rglob("*.parquet"))
    return [name[3:] for name in pyarrow.parquet.read_schema(file).names if name.startswith("in.")][-1]


def test_files_say_what_they_are(log: Path) -> None:
    file = pyarrow.parquet.ParquetFile(next(log.rglob("*.parquet")))
    metadata = {key.decode(): value.decode() for key, value in file.metadata.metadata.items()}
    assert metadata["pointsman.model"] == "iris"
    assert json.loads(metadata["pointsman.sampling"])["uniform_rate"] == 1.0
    assert metadata["pointsman.redaction_version"] == "1"
    column = file.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.is_stats_set
