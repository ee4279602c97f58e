"""Which functions of a notebook call which."""

from grader.notebook import names_called, parse_notebook


def test_what_a_function_calls_is_found_through_helpers_and_methods():
    source = (
        "def a(x):\n    return x\n"
        "def helper(x):\n    return a(x)\n"
        "class Model:\n"
        "    def cost(self):\n        return helper(self.w)\n"
        "    def step(self):\n        return self.cost()\n"
    )
    notebook = parse_notebook(source.encode(), name="n.py")
    called = names_called(notebook, ["Model.step"])
    assert called == {"Model.cost", "helper", "a"}


def test_a_method_of_self_is_the_own_or_the_inherited_one_and_no_other_class_s():
    source = (
        "class Base:\n    def predict(self, X):\n        return X\n"
        "class Linear(Base):\n    def step(self):\n        return self.predict(1)\n"
        "class Network:\n    def predict(self, X):\n        return X\n"
        "def train(model):\n    return model.predict(1)\n"
    )
    notebook = parse_notebook(source.encode(), name="n.py")
    assert names_called(notebook, ["Linear.step"]) == {"Base.predict"}
    both = {"Base.predict", "Network.predict"}
    assert names_called(notebook, ["train"]) == both


def test_a_variable_that_has_the_name_of_a_function_or_a_method_is_neither():
    source = (
        "def cost(w):\n    return w\n"
        "def rate(w):\n    return w\n"
        "class Model:\n    def predict(self, X):\n        return X\n"
        "def error(y, predict):\n    return y - predict\n"
        "def steps(w):\n    cost = w + 1\n    return [rate * cost for rate in w]\n"
        "def train(w):\n    return cost(w)\n"
    )
    notebook = parse_notebook(source.encode(), name="n.py")
    assert names_called(notebook, ["error"]) == set()
    assert names_called(notebook, ["steps"]) == set()
    assert names_called(notebook, ["train"]) == {"cost"}


def test_a_name_that_is_only_read_and_one_that_a_nested_function_reads_count():
    source = (
        "def gradient(w):\n    return w\n"
        "def cost(w):\n    return w\n"
        "def train(w):\n"
        "    def step(v):\n        return cost(v)\n"
        "    return minimise(step, gradient)\n"
    )
    notebook = parse_notebook(source.encode(), name="n.py")
    assert names_called(notebook, ["train"]) == {"cost", "gradient"}


def test_a_function_that_is_not_there_calls_nothing():
    notebook = parse_notebook(b"def cost(w):\n    return w\n", name="n.py")
    assert names_called(notebook, ["gradient"]) == set()
