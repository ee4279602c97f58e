"""The comments that ask for a student's code, in several languages."""

import pytest

from grader.authoring.importers.marked_code import converted
from grader.authoring.importers.marker_words import edge_of, says_here
from grader.authoring.stubs import stub_source
from grader.records import Cell


@pytest.mark.parametrize(
    "line",
    [
        "# YOUR CODE HERE",
        "    ## <your code goes here> ##",
        "# TODO: your code here",
        "# You code here",
        "# ---- INSERT CODE HERE ----",
        "### VOTRE CODE ICI ###",
        "# À compléter",
        "# Écrivez ici votre code",
        "# TU CÓDIGO AQUÍ",
        "# Escribe tu codigo aqui",
        "# COMPLETAR",
        "# Escreva o seu código aqui",
        "# Inserisci qui il tuo codice",
        "# HIER IHREN CODE EINFÜGEN",
        "# Jouw code hier",
        "# TWÓJ KOD TUTAJ",
        "# Ваш код здесь",
        "# твой код здесь",
        "# 请在此处编写代码",
        "# 你的代码",
        "# ここにコードを書いてください",
        "# 여기에 코드를 작성하세요",
    ],
)
def test_a_comment_that_asks_for_code_is_understood(line):
    assert says_here(line)


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # YOUR CODE HERE",
        "# your code of exercise 1 is used here",
        "# here is the code that loads the data",
        "# complete graph",
        "# Completar la matriz con ceros hasta n",
        "# код из первой задачи",
        "# solution of the first part",
        "# code",
    ],
)
def test_another_comment_is_none(line):
    assert not says_here(line)


@pytest.mark.parametrize(
    ("line", "edge"),
    [
        ("### DÉBUT DE VOTRE CODE ###", "start"),
        ("# FIN DE VOTRE CODE", "end"),
        ("### EMPIEZA TU CÓDIGO AQUÍ ###", "start"),
        ("### TERMINA TU CÓDIGO AQUÍ ###", "end"),
        ("### COMECE O CÓDIGO AQUI ###", "start"),
        ("### TERMINE O CÓDIGO AQUI ###", "end"),
        ("# Beginn Ihres Codes", "start"),
        ("# Ende Ihres Codes", "end"),
        ("# НАЧАЛО ВАШЕГО КОДА", "start"),
        ("# КОНЕЦ ВАШЕГО КОДА", "end"),
        ("### 代码开始 ###", "start"),
        ("### 代码结束 ###", "end"),
        ("# le début", None),
        ("# fin", None),
    ],
)
def test_the_two_edges_of_a_gap_are_understood(line, edge):
    assert edge_of(line) == edge


def shown(source):
    made, found = converted(source)
    return stub_source(Cell(0, "code", made), "lab.ipynb"), found


def test_a_gap_between_two_spanish_edges_hides_the_solution():
    text, found = shown(
        "def f(x):\n    ### EMPIEZA TU CÓDIGO ###\n    y = x + 1\n    ### TERMINA TU CÓDIGO ###\n"
        "    return y"
    )
    assert "x + 1" not in text
    assert text.endswith("    return y")
    assert found[0].solved


def test_a_gap_below_a_russian_comment_goes_to_the_end_of_its_block():
    text, _ = shown("def f(x):\n    # Ваш код здесь\n    y = x + 1\n    return y\n\n\nprint(f(1))")
    assert "return y" not in text
    assert text.endswith("print(f(1))")


def test_begin_your_solution_ends_at_end_your_solution():
    text, found = shown(
        "def f(x):\n    ### BEGIN YOUR SOLUTION\n    y = x + 1\n    return y\n"
        "    ### END YOUR SOLUTION\n"
    )
    assert "x + 1" not in text
    assert found[0].words == "### BEGIN YOUR SOLUTION"


@pytest.mark.parametrize("inside", ["", "\n", "        # a hint\n"])
def test_a_box_without_any_code_is_an_empty_gap_of_its_function(inside):
    source = (
        "class Layer:\n    def forward(self, x):\n        #######################\n"
        f"        # PUT YOUR CODE HERE  #\n        #######################\n{inside}\n"
        "        #######################\n        # END OF YOUR CODE    #\n"
        "        #######################\n        return out\n\n    def backward(self, d):\n"
        "        return d\n"
    )
    text, found = shown(source)
    assert "        raise NotImplementedError\n" in text
    assert [one.solved for one in found] == [False]
