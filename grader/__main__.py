"""`python -m grader` is `grade`."""

from grader.cli import main

# A process that makes pages imports this module again, under another name.
if __name__ == "__main__":
    main()
