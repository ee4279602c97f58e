"""Answers that were learnt by heart, or that know when they are watched, lose at fresh inputs."""

import pytest


def test_the_public_answers_by_heart_lose_at_fresh_inputs(host, points):
    by_heart = """
        table = {-1.0: 0.2689414213699951, 0.0: 0.5, 2.0: 0.8807970779778823}
        return np.array([table.get(float(v), 0.0) for v in np.ravel(z)])
        """
    verdict = host.grade(host.right(sigmoid=by_heart))["right"]
    # One point is for the known values; the rest needs the function.
    assert points(verdict) == {"square": 2.0, "sigmoid": 1.0, "gradient": 3.0}


def test_what_one_check_stored_is_not_there_in_the_next(host, messages):
    count = """
        import os, pathlib
        sigmoid.calls = getattr(sigmoid, "calls", 0) + 1
        places = [pathlib.Path("calls"), pathlib.Path.home() / "calls", pathlib.Path("/tmp/calls")]
        if sigmoid.calls > 1:
            raise RuntimeError("a later check")
        return 1 / (1 + np.exp(-z))
        """
    # Two checks call it once each: each in the state that the notebook left.
    assert host.grade(host.right(sigmoid=count))["right"]["score"] == 8.0


CACHES = {
    "a file": (
        "import pathlib\n"
        "note = pathlib.Path.home() / 'note'\n"
        "seen = note.exists()\n"
        "note.write_text('x')\n"
    ),
    "an environment variable": (
        "import os\nseen = 'NOTE' in os.environ\nos.environ['NOTE'] = '1'\n"
    ),
    "shared memory": "import numpy as np\nseen = bool(shared[0])\nshared[0] = 1\n",
}


@pytest.mark.parametrize("cache", CACHES)
def test_answers_that_are_kept_between_checks_are_of_no_use(host, points, cache):
    """Where a note can be left at all, it tells of other inputs than the next check has."""
    body = CACHES[cache] + "return 1 / (1 + np.exp(-z)) if not seen else 0 * z + 0.5"
    top = "import mmap\nshared = mmap.mmap(-1, 64)"
    verdict = host.grade(host.right(top, sigmoid=body))["right"]
    assert points(verdict)["sigmoid"] <= 3.0
    again = host.grade(host.right(top, sigmoid=body))["right"]
    assert points(again) == points(verdict)


def test_a_function_that_looks_for_the_grader_earns_what_it_then_returns(host, points):
    shy = """
        import os, sys
        watched = "grader.in_kernel.agent" in sys.modules or "ipykernel" in sys.modules
        return 0 * z if watched else 1 / (1 + np.exp(-z))
        """
    assert points(host.grade(host.right(sigmoid=shy))["right"])["sigmoid"] == 0.0


def test_another_seed_asks_for_other_values(host, points):
    """The inputs that one report shows are of no use for the next one."""
    caught = "print(repr(x))\nreturn np.mean(x**2) if len(x) == 9 and x[0] > 0 else 0.0"
    scores = set()
    for seed in range(3):
        graded = host.grade(host.right(mean_square=caught), options=["--seed", str(seed)])
        scores.add(points(graded["right"])["square"])
    assert 0.0 in scores
