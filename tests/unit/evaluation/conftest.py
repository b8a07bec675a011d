"""Fixtures of evaluation tests."""

from collections.abc import Iterator

import pytest

from tests.support.tiny_model import one_model_thread


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run the network in one thread: for one so small, sharing the work costs more than it saves."""
    with one_model_thread():
        yield
