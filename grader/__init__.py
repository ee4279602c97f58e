"""`grade`: an auto-grader for notebooks of numerical computing and deep learning."""

__version__ = "0.1.0"
