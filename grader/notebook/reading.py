"""Read notebooks and scripts: nbformat 3 and 4, with the damage that editors do.

Errors that don't matter are ignored: ids that come twice, a kernelspec without a kernel, unknown
keys. Only a file that is not a notebook at all is refused.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.errors import SubmissionError
from grader.notebook.definitions import find_definitions, parsed
from grader.notebook.regions import find_regions
from grader.records import Cell, Note, Notebook
from grader.text import encodable

MAX_FILE_BYTES = 100 * 1024**2
"""Size of a notebook or script. Figures take a few MiB, interactive plots 20; more is an attack."""
MAX_OUTPUT_CHARS = 16 * 1024**2
"""Size of the stored outputs that are kept as evidence; the cells run again anyway."""
MAX_CODE_CHARS = 1024**2
"""Characters of all code cells. Real notebooks have about 20,000; comparing this takes seconds."""
MAX_CELLS = 5_000
MAX_JSON_ITEMS = 3_000_000
"""Brackets and commas of a notebook's JSON: a hundred MiB of `[],[],` would take gigabytes."""

_PERCENT = re.compile(r"#\s*%%(?P<rest>.*)$")
_TAGS = re.compile(r"\btags=(\[[^\[\]]*\])")
_EXPORTED = re.compile(r"#\s*In\s*\[[\d\s*]*\]\s*:?\s*$")


def read_notebook(path: Path, *, name: str | None = None) -> Notebook:
    """Return the notebook or script in a file: its cells, definitions and regions.

    name : its name in reports; None for the file's own name
    Raises SubmissionError, one line, for a file that is not a notebook.
    """
    shown = name if name is not None else path.name
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SubmissionError(
                f"{shown} is larger than {MAX_FILE_BYTES // 1024**2} MiB: "
                "clear its outputs, save it and hand it in again"
            )
        raw = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SubmissionError(f"{shown} can't be read ({reason})") from error
    return parse_notebook(raw, name=shown)


def parse_notebook(raw: bytes, *, name: str) -> Notebook:
    """Return the notebook or script in these bytes; name's suffix tells which.

    Raises SubmissionError, one line, for a file that is not a notebook.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise SubmissionError(f"{name} is larger than {MAX_FILE_BYTES // 1024**2} MiB")
    if not raw.strip(b"\0 \t\r\n"):
        raise SubmissionError(f"{name} is empty: save it and hand it in again")
    metadata: Mapping[str, object] = {}
    notes: list[Note] = []
    if name.lower().endswith(".py"):
        cells = _script_cells(_script_text(raw))
    else:
        document = _document(raw, name)
        cells, metadata = _notebook_cells(document, name)
        cells, notes = _within_output_limit(cells, name)
    if sum(len(cell.source) for cell in cells if cell.kind == "code") > MAX_CODE_CHARS:
        raise SubmissionError(
            f"{name} holds over a million characters of code: move data out of it"
        )
    return assembled(cells, name=name, metadata=metadata, notes=notes)


def assembled(
    cells: Sequence[Cell],
    *,
    name: str,
    metadata: Mapping[str, object] | None = None,
    notes: Sequence[Note] = (),
) -> Notebook:
    """Return the notebook of these cells, with its definitions and regions found."""
    definitions = find_definitions(cells)
    regions, marker_notes = find_regions(cells, definitions)
    return Notebook(
        name=name,
        cells=tuple(cells),
        definitions=definitions,
        regions=regions,
        notes=tuple(replace(note, notebook=name) for note in (*notes, *marker_notes)),
        metadata=metadata or {},
    )


# --- notebooks --------------------------------------------------------------------------------


def _document(raw: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object of a notebook, in nbformat 4's layout."""
    if raw.count(b"[") + raw.count(b"{") + raw.count(b",") > MAX_JSON_ITEMS:
        raise SubmissionError(
            f"{name} holds millions of values: clear its outputs, save it and hand it in again"
        )
    try:
        text = raw.decode(json.detect_encoding(raw))
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    try:
        # strict=False: editors and damaged disks leave raw control characters in strings.
        document = json.loads(text.strip("\0"), strict=False)
    except RecursionError as error:
        raise SubmissionError(f"{name} is not a notebook: its JSON is nested too deep") from error
    except ValueError as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "a number"
        conflict = re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE)
        advice = "resolve its merge conflict" if conflict else "open it in Jupyter, save it"
        raise SubmissionError(
            f"{name} is not a notebook: its JSON breaks at {where}; {advice} and hand it in again"
        ) from error
    if "\\ud" in text or "\\uD" in text:
        document = _without_surrogates(document)
    if not isinstance(document, dict) or not (
        isinstance(document.get("cells"), list) or isinstance(document.get("worksheets"), list)
    ):
        raise SubmissionError(
            f"{name} is JSON but not a notebook (it has no cells): hand in the .ipynb"
        )
    return document


def _without_surrogates(value: Any) -> Any:
    """Return the JSON value with lone surrogates replaced: no file or stream takes them."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(v) for key, v in value.items()}
    return value


def _notebook_cells(document: dict[str, Any], name: str) -> tuple[list[Cell], Mapping[str, object]]:
    metadata = document.get("metadata")
    entries = document.get("cells")
    if not isinstance(entries, list):
        entries = _upgraded_cells(document)
    if len(entries) > MAX_CELLS:
        raise SubmissionError(f"{name} holds {len(entries):,} cells; {MAX_CELLS:,} are allowed")
    cells = [_cell(index, entry) for index, entry in enumerate(entries)]
    return cells, metadata if isinstance(metadata, dict) else {}


def _upgraded_cells(document: dict[str, Any]) -> list[Any]:
    """Return the cells of an nbformat 3 (or older) notebook as nbformat 4 has them."""
    try:
        import nbformat

        with _quiet():
            upgraded = nbformat.convert(nbformat.from_dict(document), 4)
        return list(upgraded["cells"])
    except Exception:
        # nbformat trusts the schema. If it fails, the code is left, and only that counts.
        sheets = [sheet for sheet in document["worksheets"] if isinstance(sheet, dict)]
        lists = [sheet.get("cells") for sheet in sheets]
        return [cell for cells in lists if isinstance(cells, list) for cell in cells]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide nbformat's warnings and log lines about a student's file from the user."""
    logger = logging.getLogger("traitlets")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _cell(index: int, entry: object) -> Cell:
    """Return one cell, even if its entry has another form."""
    if not isinstance(entry, dict):
        return Cell(index=index, kind="raw", source="")
    kind = entry.get("cell_type")
    source = _joined(entry.get("source", entry.get("input", "")))
    metadata = entry.get("metadata")
    outputs = entry.get("outputs")
    if kind == "code":
        kept = [o for o in outputs if isinstance(o, dict)] if isinstance(outputs, list) else []
        return Cell(
            index=index,
            kind="code",
            source=source,
            outputs=tuple(kept),
            metadata=metadata if isinstance(metadata, dict) else {},
        )
    return Cell(
        index=index,
        kind="markdown" if kind in ("markdown", "heading") else "raw",
        source=source,
        metadata=metadata if isinstance(metadata, dict) else {},
        attachments=_pictures(entry.get("attachments")),
    )


def _pictures(attachments: object) -> dict[str, dict[str, str]]:
    """Return {"scan.png": {"image/png": base64 text}}, without entries of another form.

    Nothing deeper is kept: it goes into the evidence, and endless nesting would crash the grader.
    """
    if not isinstance(attachments, dict):
        return {}
    return {
        name: {kind: text for kind, data in bundle.items() if (text := _joined(data))}
        for name, bundle in attachments.items()
        if isinstance(bundle, dict)
    }


def _joined(source: object) -> str:
    """Return a source that is a string or a list of lines as one string."""
    if isinstance(source, str):
        return source
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return ""


def _within_output_limit(cells: list[Cell], name: str) -> tuple[list[Cell], list[Note]]:
    """Return the cells without the stored outputs and pictures beyond the limit."""
    left = MAX_OUTPUT_CHARS
    kept = []
    dropped = 0
    for cell in cells:
        left -= _chars(cell.outputs) + _chars(cell.attachments)
        if left < 0 and (cell.outputs or cell.attachments):
            dropped += 1
            cell = replace(cell, outputs=(), attachments={})
        kept.append(cell)
    if not dropped:
        return kept, []
    message = f"the stored outputs of {dropped} cells are too large and were left out"
    return kept, [Note(kind="outputs_dropped", message=message, notebook=name)]


def _chars(value: object) -> int:
    """Return about how many characters a JSON value takes."""
    total = 0
    todo: list[object] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            todo += item.values()
            total += sum(len(key) for key in item)
        elif isinstance(item, list | tuple):
            todo += item
        total += 4
    return total


# --- scripts ----------------------------------------------------------------------------------


def _script_text(raw: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        return raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        pass
    try:
        return raw.decode(json.detect_encoding(raw))
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _script_cells(text: str) -> list[Cell]:
    """Return a script's cells: one, or those separated by `# %%` or `# In[1]:` lines.

    A script stays whole if such a line is inside a definition, since splitting it would break code
    that parses.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    parts: list[tuple[str, list[str], list[str]]] = [("code", [], [])]
    for line in text.split("\n"):
        percent = _PERCENT.match(line)
        if percent or _EXPORTED.match(line):
            rest = percent["rest"].lower() if percent else ""
            markdown = "[markdown]" in rest or "[md]" in rest
            kind = "markdown" if markdown else "raw" if "[raw]" in rest else "code"
            parts.append((kind, _tags_in(percent["rest"] if percent else ""), []))
        else:
            parts[-1][2].append(line)
    cells: list[Cell] = []
    for kind, tags, lines in parts:
        metadata = {"tags": tags} if tags else {}
        source = "\n".join(lines).strip("\n")
        if not source.strip():
            continue
        if kind == "code":
            cells.append(Cell(index=len(cells), kind="code", source=source, metadata=metadata))
        else:
            plain = "\n".join(re.sub(r"^# ?", "", line) for line in source.split("\n"))
            markdown_or_raw: Any = kind
            cells.append(
                Cell(index=len(cells), kind=markdown_or_raw, source=plain, metadata=metadata)
            )
    code = [cell.source for cell in cells if cell.kind == "code"]
    torn = len(code) > 1 and any(parsed(source) is None for source in code)
    if len(cells) > MAX_CELLS or not cells or (torn and parsed(text) is not None):
        return [Cell(index=0, kind="code", source=text.strip("\n"))]
    return cells


def _tags_in(rest: str) -> list[str]:
    """Return the tags of a `# %%` line, as Jupytext writes them: tags=["solution"]."""
    listed = _TAGS.search(rest)
    try:
        tags = json.loads(listed[1]) if listed else []
    except ValueError:
        return []
    return [tag for tag in tags if isinstance(tag, str)]
