"""Answers that were learnt by heart, or that know when they are watched, lose at fresh inputs."""

import pytest

MAX = 8.0


BY_HEART = """
    table = {-1.0: 0.2689414213699951, 0.0: 0.5, 2.0: 0.8807970779778823}
    return np.array([table.get(float(v), 0.0) for v in np.ravel(z)])
    """
# Two checks call it once each: each in the state that the notebook left.
COUNTS = """
    sigmoid.calls = getattr(sigmoid, "calls", 0) + 1
    if sigmoid.calls > 1:
        raise RuntimeError("a later check")
    return 1 / (1 + np.exp(-z))
    """
SHY = """
    import os, sys
    watched = "grader.in_kernel.agent" in sys.modules or "ipykernel" in sys.modules
    return 0 * z if watched else 1 / (1 + np.exp(-z))
    """
# Where a note can be left from check to check, it tells of other inputs than the next one has.
CACHES = {
    "a file": """
        import pathlib
        note = pathlib.Path.home() / "note"
        kept = np.load(note) if note.exists() else 1 / (1 + np.exp(-z))
        with note.open("wb") as file: np.save(file, kept)
        return kept
        """,
    "a folder of everybody's": """
        import pathlib
        note = pathlib.Path("/tmp/note")
        kept = np.load(note) if note.exists() else 1 / (1 + np.exp(-z))
        with note.open("wb") as file: np.save(file, kept)
        return kept
        """,
    "an environment variable": """
        import os, json
        kept = os.environ.setdefault("NOTE", json.dumps((1 / (1 + np.exp(-z))).tolist()))
        return np.array(json.loads(kept))
        """,
    "shared memory": """
        size = int(shared[0])
        if not size:
            shared[0] = z.size
            shared[1:1 + z.size] = np.ravel(1 / (1 + np.exp(-z)))
        return np.array(shared[1:1 + int(shared[0])])
        """,
}
SHARED = "import mmap, numpy as np\nshared = np.frombuffer(mmap.mmap(-1, 1024))"


@pytest.fixture(scope="module")
def verdicts(toy, graded_together):
    """The verdicts on right answers with such a sigmoid; every cache twice, for it to be read."""
    bodies = {"by heart": BY_HEART, "counts": COUNTS, "shy": SHY} | CACHES
    bodies |= {f"{cache} again": body for cache, body in CACHES.items()}
    return graded_together(
        toy,
        {
            title: toy.right(SHARED, name=f"s{n}", sigmoid=body)
            for n, (title, body) in enumerate(bodies.items())
        },
    )


def test_the_public_answers_by_heart_lose_at_fresh_inputs(verdicts, points):
    # One point is for the known values; the rest needs the function.
    assert points(verdicts["by heart"]) == {"square": 2.0, "sigmoid": 1.0, "gradient": 3.0}


def test_what_one_check_stored_is_not_there_in_the_next(verdicts):
    assert verdicts["counts"]["score"] == MAX


@pytest.mark.parametrize("cache", CACHES)
def test_an_answer_that_is_kept_for_the_next_check_is_of_no_use_there(verdicts, points, cache):
    """It earns the point of the check that it was computed for, or works as if nothing was kept."""
    assert points(verdicts[cache])["sigmoid"] in (1.0, 3.0)


@pytest.mark.parametrize("cache", CACHES)
def test_an_answer_is_not_kept_for_the_next_submission(verdicts, points, cache):
    assert points(verdicts[f"{cache} again"]) == points(verdicts[cache])


def test_a_function_that_looks_for_the_grader_earns_what_it_then_returns(verdicts, points):
    assert points(verdicts["shy"])["sigmoid"] == 0.0


def test_another_seed_asks_for_other_values(host, points):
    """The inputs that one report shows are of no use for the next one."""
    caught = "return np.mean(x**2) if len(x) == 9 and x[0] > 0 else 0.0"
    paths = [host.right(mean_square=caught)]
    scores = set()
    for seed in range(3):
        graded = host.grade(*paths, options=["--seed", str(seed)])
        scores.add(points(graded["right"])["square"])
    assert scores == {0.0, 2.0}
