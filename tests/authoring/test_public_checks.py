"""Public checks: a check file without what is hidden, the rest byte for byte."""

import textwrap

import pytest

from grader.authoring.public_checks import public_checks
from grader.errors import AssignmentError

PUBLIC = '''\
@pytest.mark.exercise("a", points=1)
def test_public(student):
    """Public."""
    assert student.f( 1 )==1   # odd layout stays
'''


def without_hidden(text):
    return public_checks(textwrap.dedent(text), file="test_a.py")


def test_a_file_without_hidden_checks_stays_byte_for_byte():
    text = '"""Doc."""\n\nimport os, pytest\n\n\n' + PUBLIC
    assert public_checks(text, file="test_a.py") == text


def test_hidden_checks_go_with_their_comments_helpers_and_imports():
    text = f'''\
"""Doc."""

import math
from grader.checks import assert_close, assert_finite
import numpy as np
import pytest

LIMIT = 3
SECRET = [4, 5]  # the answers


def shared(x):
    return x


def secret_helper(x):
    return deeper(np.sum(x) + SECRET[0])


def deeper(x):
    return shared(x)


{PUBLIC}

# how to see it
@pytest.mark.exercise("a", points=1, hidden=True)
def test_hidden(student):
    assert_finite(secret_helper(student.f(2)), math.pi)
    assert_close(shared(1), LIMIT)
    # at its end


@pytest.mark.exercise("b", points=1)
def test_other(student):
    assert_close(shared(student.f(3)), LIMIT)
'''
    expected = f'''\
"""Doc."""

from grader.checks import assert_close
import pytest

LIMIT = 3


def shared(x):
    return x


{PUBLIC}

@pytest.mark.exercise("b", points=1)
def test_other(student):
    assert_close(shared(student.f(3)), LIMIT)
'''
    assert public_checks(text, file="test_a.py") == expected


def test_fixtures_that_only_hidden_checks_ask_for_go_too():
    text = f"""\
import pytest


@pytest.fixture
def answer():
    return 42


@pytest.fixture
def question():
    return 6


{PUBLIC}

@pytest.mark.exercise("a", points=1, hidden=True)
def test_hidden(student, answer, question):
    assert student.f(question) == answer


@pytest.mark.exercise("a", points=1)
def test_more(student, question):
    assert student.f(question)
"""
    found = public_checks(text, file="test_a.py")
    assert "42" not in found
    assert "return 6" in found
    compile(found, "test_a.py", "exec")


def test_helpers_that_nobody_uses_stay():
    hidden = "@pytest.mark.exercise('a', hidden=True)\ndef test_h():\n    pass\n"
    text = f"import pytest\n\n\ndef unused():\n    pass\n\n\n{PUBLIC}\n\n{hidden}"
    assert "def unused" in public_checks(text, file="test_a.py")


def test_the_title_of_a_section_goes_when_nothing_of_it_is_left():
    text = f"""\
import pytest

# --- public ---

{PUBLIC}

# --- the secret ones ---


@pytest.mark.exercise("a", points=1, hidden=True)
def test_hidden(student):
    pass


@pytest.mark.exercise("a", points=1, hidden=True)
def test_hidden_too(student):
    pass
"""
    assert public_checks(text, file="test_a.py") == f"import pytest\n\n# --- public ---\n\n{PUBLIC}"


def test_hidden_methods_of_a_class_go_and_a_class_of_hidden_ones_whole():
    text = f'''\
import pytest


class TestA:
    """A."""

    @pytest.mark.exercise("a", points=1, hidden=True)
    def test_secret(self, student):
        assert 42

    @pytest.mark.exercise("a", points=1)
    def test_public(self, student):
        assert 1


class TestB:
    @pytest.mark.exercise("a", points=1, hidden=True)
    def test_secret(self, student):
        assert 42


{PUBLIC}'''
    found = public_checks(text, file="test_a.py")
    assert "42" not in found
    assert "TestB" not in found
    assert "def test_public(self, student):" in found
    compile(found, "test_a.py", "exec")


def test_a_file_of_hidden_checks_alone_gives_nothing():
    assert (
        without_hidden("""
        import pytest

        @pytest.mark.exercise("a", hidden=True)
        def test_a(student, reference):
            pass
        """)
        == ""
    )
    assert (
        without_hidden("""
        import pytest
        pytestmark = [pytest.mark.exercise("a", points=1, hidden=True)]
        def test_a(student):
            pass
        """)
        == ""
    )


def test_a_mark_by_another_name_hides_as_well():
    found = without_hidden("""
        import pytest
        exercise = pytest.mark.exercise

        @exercise("a", points=1, hidden=True)
        def test_secret(student):
            pass

        @exercise("a", points=1)
        def test_public(student):
            pass
        """)
    assert "secret" not in found
    assert "exercise = pytest.mark.exercise" in found


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("def test_a(:", "doesn't parse"),
        (
            "@mark.exercise('a', points=1)\ndef test_a(student, reference): pass",
            "mark it hidden=True",
        ),
        ("@mark.exercise('a', hidden=SECRET)\ndef test_a(student): pass", "must be True or False"),
        ("@mark.exercise('a', hiden=True)\ndef test_a(student): pass", "knows no 'hiden'"),
        ("@mark.exercise('a', **kw)\ndef test_a(student): pass", "without **"),
        (
            "class TestA:\n    pytestmark = mark.exercise('a', hidden=True)\n"
            "    def test_a(self, student): pass",
            "would reach the students",
        ),
        (
            "secret = mark.exercise('a', hidden=True)\n@secret\ndef test_a(student): pass",
            "would reach the students",
        ),
    ],
)
def test_what_could_leak_is_refused(text, what):
    with pytest.raises(AssignmentError) as caught:
        public_checks(text, file="test_a.py")
    assert what in str(caught.value)
    assert "test_a.py" in str(caught.value)
