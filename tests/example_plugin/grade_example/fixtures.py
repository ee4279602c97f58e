"""Fixtures that checks may ask for beside `student`, `reference`, `rng` and `datasets`."""

import numpy as np
import pytest


@pytest.fixture
def grid() -> np.ndarray:
    """Eleven points from -5 to 5."""
    return np.linspace(-5.0, 5.0, 11)
