"""A small template, of the kind that the genuine one is, and notebooks made of sources."""

import json

import pytest

from grader.notebook import parse_notebook

TEMPLATE = (
    "import numpy as np\n%matplotlib inline",
    """\
class Model:
    '''A perceptron.'''

    def __init__(self, data, alpha=0.5):
        self.data = data
        self.alpha = alpha

    def cost_funct(self, y_pred, y):
        if self.mse:
            ### START YOUR CODE ###
            cost = 0.0
        else:
            cost = 0.0
            ### END YOUR CODE ###
        return cost

    def predict(self, x):
        ### START YOUR CODE ###
        y_pred = np.zeros((x.shape[0], 1))
        ### END YOUR CODE ###
        return y_pred

    def error_rate(self, y_pred, y):
        return np.mean((y_pred > 0.5) != y)
""",
    """\
def sigmoid(z):
    ### START YOUR CODE ###
    pass
    ### END YOUR CODE ###
""",
    "model = Model(data)\nmodel.optimise(100)\nplt.plot(model.cost)",
    "### START YOUR CODE ###\npass\n### END YOUR CODE ###",
)


@pytest.fixture
def template():
    """Return the sources of the template's code cells: imports, Model, sigmoid, use, a gap."""
    return list(TEMPLATE)


@pytest.fixture
def notebook():
    """Return a function that reads code cells' sources as a notebook."""

    def read(*sources, name="a.ipynb"):
        cells = [
            {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
            for source in sources
        ]
        return parse_notebook(json.dumps({"cells": cells}).encode(), name=name)

    return read
