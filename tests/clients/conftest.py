"""The gateway that all tests of a run talk to."""

from collections.abc import Iterator

import pytest

import golden
from harness.gateway import Gateway


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """A gateway over the models that the repository ships."""
    with Gateway(golden.MODELS) as running:
        yield running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a `case` runs for every golden case of every served version."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", golden.all_cases(), ids=str)
