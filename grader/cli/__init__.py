"""The `grade` command: one file for each command. Nothing is graded here.

    commands    the list of commands, the choice of one, and the exit code
    options     the options that several commands share
    output      writes reports; watching: shows the progress
    grade       grades submissions: the command of `grade PATH...`
    ...         every other file is the command with its name

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
