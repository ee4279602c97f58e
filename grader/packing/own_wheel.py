"""Makes a wheel of the installed grader, so that another system runs the same code."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import grader
from grader.errors import GradeError

NAME = "numgrade"
_LEFT_OUT = {"__pycache__"}


def own_wheel() -> tuple[str, bytes]:
    """Return the file name and the bytes of a wheel of the installed package.

    Raises GradeError if the package is imported but not installed.
    """
    try:
        installed = distribution(NAME)
    except PackageNotFoundError:
        raise GradeError(
            f"{NAME} is not installed, only imported: install it (pip install .), then pack"
        ) from None
    about = f"{NAME}-{grader.__version__}.dist-info"
    files = {**_modules(), **_about(installed, about)}
    files[f"{about}/RECORD"] = _record(files, f"{about}/RECORD").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            # A fixed date, so that the same package gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return f"{NAME}-{grader.__version__}-py3-none-any.whl", buffer.getvalue()


def _modules() -> dict[str, bytes]:
    folder = Path(grader.__file__).parent
    return {
        f"grader/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _LEFT_OUT.isdisjoint(path.parts)
    }


def _about(installed: Distribution, about: str) -> dict[str, bytes]:
    wheel = "Wheel-Version: 1.0\nGenerator: grade\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    found = {f"{about}/WHEEL": wheel.encode()}
    for name in ("METADATA", "entry_points.txt"):
        text = installed.read_text(name)
        if text is not None:
            found[f"{about}/{name}"] = text.encode()
    return found


def _record(files: dict[str, bytes], own: str) -> str:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{own},,", ""])
