"""Shared by the tests of losses."""

import jaxtyping
import pytest


@pytest.fixture
def unchecked():
    """Run as users do: without the type and shape checks of the tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
