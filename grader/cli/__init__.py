"""The `grade` command. One file a command; no grading.

    commands    the list of commands: which one is meant, and how the process ends
    options     the options that several commands share
    output      where reports go; watching: what is shown meanwhile
    grade       grades submissions: the command of `grade PATH...`
    ...         every other file is the command of its name

To add a command: write a file that defines `command`, and name it in `commands.COMMANDS`.
"""

from grader.cli.commands import COMMANDS, main, run
from grader.cli.options import FAULT, GRADED, INTERRUPTED, PIPE_CLOSED, UNDER, WRONG_INPUT

__all__ = [
    "COMMANDS",
    "FAULT",
    "GRADED",
    "INTERRUPTED",
    "PIPE_CLOSED",
    "UNDER",
    "WRONG_INPUT",
    "main",
    "run",
]
