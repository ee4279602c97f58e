"""What honest notebooks do still works in a closed process, and says nothing odd."""

import pytest

MAX = 8.0

# A cell that would raise if anything of it failed.
HONEST = {
    "figures": """
        import matplotlib.pyplot as plt
        import numpy as np
        fig, axes = plt.subplots(1, 2, figsize=(6, 3))
        axes[0].plot(np.arange(10), np.arange(10) ** 2, label="$x^2$")
        axes[0].set_title("Größe λ"); axes[0].legend()
        axes[1].imshow(np.eye(8)); plt.colorbar(axes[1].images[0])
        plt.savefig("figure.png"); plt.savefig("figure.pdf")
        plt.show()
        import os
        assert os.path.getsize("figure.png") > 1000
        """,
    "scikit-learn": """
        from sklearn.datasets import load_digits, make_moons
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, train_test_split
        x, y = load_digits(return_X_y=True)
        model = LogisticRegression(max_iter=200).fit(x[:300] / 16, y[:300])
        assert model.score(x[:300] / 16, y[:300]) > 0.9
        search = GridSearchCV(LogisticRegression(), {"C": [1.0, 10.0]}, n_jobs=1, cv=2)
        search.fit(*make_moons(50, random_state=0))
        """,
    "scikit-learn on all cores": """
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.datasets import make_moons
        RandomForestClassifier(10, n_jobs=-1).fit(*make_moons(50, random_state=0))
        """,
    "scikit-learn in two processes": """
        from sklearn.datasets import make_moons
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_score
        scores = cross_val_score(LogisticRegression(), *make_moons(50, random_state=0), n_jobs=2)
        assert len(scores) == 5
        """,
    "processes, a queue and a lock": """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        def double(x): return 2 * x
        with ProcessPoolExecutor(2) as pool:
            assert list(pool.map(double, [1, 2, 3])) == [2, 4, 6]
        queue, lock = multiprocessing.Queue(), multiprocessing.Lock()
        value = multiprocessing.Value("i", 3)
        def put(queue):
            with lock: queue.put(value.value)
        child = multiprocessing.Process(target=put, args=(queue,)); child.start()
        assert queue.get() == 3; child.join()
        """,
    "shared memory without a file": """
        import mmap, os
        shared = mmap.mmap(-1, 1 << 16)
        if os.fork() == 0:
            shared[:5] = b"hello"
            os._exit(0)
        os.wait()
        assert shared[:5] == b"hello" and isinstance(shared, mmap.mmap)
        rights = mmap.PROT_READ | mmap.PROT_WRITE
        with mmap.mmap(-1, 8192, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, rights) as larger:
            larger.resize(16384)
            larger[16383] = 1
        for more in ({"access": mmap.ACCESS_COPY}, {"access": mmap.ACCESS_WRITE},
                     {"flags": mmap.MAP_PRIVATE}):
            mmap.mmap(-1, 8192, **more)[8191] = 1
        """,
    "pandas and a CSV that came along": """
        import pandas as pd
        table = pd.read_csv("data/points.csv")
        assert list(table["y"]) == [2, 4]
        table.to_csv("out.csv"); table.to_json("out.json")
        table.describe()
        """,
    "files of its own": """
        import os, pathlib, pickle, shutil, sqlite3, tempfile
        import numpy as np
        with tempfile.NamedTemporaryFile("w+", suffix=".txt") as f:
            f.write("x"); f.flush(); f.seek(0); assert f.read() == "x"
        with tempfile.TemporaryDirectory() as folder:
            np.save(os.path.join(folder, "a.npy"), np.eye(3))
            assert np.load(os.path.join(folder, "a.npy")).shape == (3, 3)
        pathlib.Path("models").mkdir()
        pathlib.Path("models/m.pkl").write_bytes(pickle.dumps({"w": 1}))
        os.rename("models/m.pkl", "models/n.pkl"); os.chmod("models/n.pkl", 0o600)
        shutil.copy("models/n.pkl", "n.pkl"); os.remove("n.pkl"); shutil.rmtree("models")
        sqlite3.connect("x.db").execute("create table t (a)")
        (pathlib.Path.home() / ".cache").mkdir(exist_ok=True)
        mapped = np.lib.format.open_memmap("m.npy", "w+", shape=(100, 100)); mapped[:] = 1
        """,
    "magics": """
        %matplotlib inline
        %timeit -n 2 -r 2 sum(range(100))
        %time sum(range(100))
        %config InlineBackend.figure_format = 'retina'
        %load_ext autoreload
        %autoreload 2
        !pip install numpy
        %pip install numpy
        """,
    "a timed cell": "%%time\ntotal = sum(range(1000))",
    "a captured cell": "%%capture out\nprint('quiet')",
    "warnings": """
        import warnings
        import numpy as np
        warnings.warn("take care")
        warnings.filterwarnings("ignore")
        np.log(np.zeros(3)); np.exp(1000.0)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always"); warnings.warn("x")
        assert len(seen) == 1
        """,
    "linear algebra on threads": """
        import numpy as np
        a = np.random.default_rng(0).normal(size=(600, 600))
        np.linalg.svd(a); np.linalg.inv(a); a @ a; np.linalg.eigvals(a[:200, :200])
        """,
    "threads": """
        import concurrent.futures, queue, threading
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(abs, [-1, -2])) == [1, 2]
        t = threading.Thread(target=lambda: None); t.start(); t.join()
        """,
    "asyncio": """
        import asyncio
        await asyncio.sleep(0.01)
        async def one(): return 1
        assert await asyncio.gather(one(), one()) == [1, 1]
        """,
    "progress and widgets": """
        from IPython.display import HTML, Image, Markdown, clear_output, display
        for n in range(3):
            clear_output(wait=True); print(f"step {n}", end="\\r", flush=True)
        display(HTML("<b>x</b>"), Markdown("*x*"), {"a": 1})
        """,
    "the time, the host, itself": """
        import datetime, getpass, logging, os, platform, random, socket, sys, time, uuid
        datetime.datetime.now().isoformat(); time.perf_counter(); platform.platform()
        os.cpu_count(); os.getcwd(); sys.version; uuid.uuid4(); random.random(); os.getpid()
        socket.gethostname(); os.path.expanduser("~"); logging.warning("x"); os.listdir(".")
        time.sleep(0.1); os.environ.get("HOME"); os.urandom(8); time.localtime().tm_zone
        """,
    "scipy": """
        import scipy.optimize, scipy.linalg, scipy.signal
        assert abs(scipy.optimize.minimize(lambda x: (x - 3) ** 2, 0.0).x[0] - 3) < 1e-3
        """,
    "a small child process": """
        import subprocess, sys
        done = subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True, text=True)
        assert done.stdout == "7\\n", done.stderr
        """,
}


POOL = """
    import multiprocessing
    def double(x): return 2 * x
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(double, [1, 2, 3]) == [2, 4, 6]
    """
FUNCTION = """
    import concurrent.futures, tempfile
    import matplotlib.pyplot as plt
    with tempfile.TemporaryFile() as f:
        np.save(f, x); f.seek(0); x = np.load(f)
    plt.figure(); plt.plot(x); plt.close()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return np.mean(list(pool.map(lambda v: v * v, x)))
    """


@pytest.fixture(scope="module")
def verdicts(toy, graded_together):
    """The verdicts on right answers with such a cell before them, or such a function in them."""
    files = {"data/points.csv": "x,y\n1,2\n3,4\n"}
    # The first import of a large library may take long.
    toy.write_assignment(cell_s=60, notebook_s=240, check_s=60)
    paths = {
        honest: toy.right(source, name=f"s{n}", files=files)
        for n, (honest, source) in enumerate((HONEST | {"a pool": POOL}).items())
    }
    paths["a function"] = toy.right(name="function", mean_square=FUNCTION)
    return graded_together(toy, paths)


@pytest.mark.parametrize("honest", HONEST)
def test_an_honest_cell_runs(verdicts, notes, honest):
    said = notes(verdicts[honest])
    assert {kind: text for kind, text in said.items() if kind not in ("command", "forbidden")} == {}
    assert verdicts[honest]["score"] == MAX


def test_multiprocessing_of_a_modest_size_works_or_says_why_not(verdicts, notes):
    assert verdicts["a pool"]["score"] == MAX
    said = notes(verdicts["a pool"])
    assert said == {} or "not permitted" in str(said) or "denied" in str(said)


def test_functions_of_an_honest_answer_may_use_files_threads_and_figures(verdicts):
    assert verdicts["a function"]["score"] == MAX


@pytest.mark.parametrize("policy", ["auto", "none"])
def test_the_score_is_the_same_with_and_without_the_sandbox(host, policy):
    paths = [host.right(), host.half(), host.wrong()]
    graded = host.grade(*paths, options=["--sandbox", policy])
    assert [graded[path.stem]["score"] for path in paths] == [MAX, 5.0, 0.0]
