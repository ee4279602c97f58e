"""Replace nodes of a function's syntax tree in the function's text."""

from __future__ import annotations

import ast
from collections.abc import Sequence


class FunctionText:
    """The text of a function. source : the text that `function` was parsed from"""

    def __init__(self, source: str, function: ast.stmt) -> None:
        self._statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt)]
        self._bytes = source.encode()  # ast counts columns in UTF-8 bytes
        self._line_starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))

    def statement_at(self, line: int) -> ast.stmt:
        """Return the innermost statement that holds the line."""
        around = [s for s in self._statements if s.lineno <= line <= (s.end_lineno or s.lineno)]
        return max(around, key=lambda statement: statement.lineno)

    def replaced(
        self, places: Sequence[tuple[ast.expr | ast.stmt, str]], *, keep_lines: bool = False
    ) -> str:
        """Return the text with each node replaced; of nested nodes, only the outer one.

        keep_lines : whether the code below keeps its line numbers
        """
        spans = sorted(
            ((*self._span(node), node, new) for node, new in places), key=lambda span: span[:2]
        )
        text, at = b"", 0
        for start, end, node, new in spans:
            if start < at:
                continue
            if isinstance(node, ast.expr) and not isinstance(node, ast.Slice):
                gone = self._bytes[start:end].count(b"\n") - new.count("\n")
                new = f"({new}{chr(10) * gone if keep_lines else ''})"
            text += self._bytes[at:start] + new.encode()
            at = end
        return (text + self._bytes[at:]).decode()

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self._line_starts[node.lineno - 1] + node.col_offset,
            self._line_starts[node.end_lineno - 1] + node.end_col_offset,
        )
