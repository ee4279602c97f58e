"""A file of tests that names what students hand in without their modules.

without_modules(tree, modules)   `layers.Linear` and `load("src.layers", "Linear")` become `Linear`
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection

from grader.authoring.importers.test_habits import Function, origins_of
from grader.notebook.definitions import dotted


class _Loaded:
    """The students' modules as a test file names them, and the functions that it loads from them.

    f = load("src.layers", "f"), f = getattr(layers, "f"), layers = import_module("src.layers")
    """

    def __init__(self, modules: Collection[str]) -> None:
        self._modules = frozenset(modules)
        self._texts: set[str] = set()
        self.aliases: set[str] = set()

    def is_theirs(self, module: str) -> bool:
        """Return whether a module is one that students hand in."""
        return module.rpartition(".")[2] in self._modules

    def replaced(self, node: ast.Assign) -> ast.stmt | None:
        """Return what stands for an assignment that loads a module or a function; else None."""
        target = node.targets[0]
        if len(node.targets) != 1 or not isinstance(target, ast.Name):
            return None
        value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            if self.is_theirs(value.value):
                self._texts.add(target.id)
            return None
        if not isinstance(value, ast.Call) or value.keywords:
            return None
        if dotted(value.func).endswith("import_module") and self._names_module(value.args[:1]):
            self.aliases.add(target.id)
            return ast.Pass()
        if len(value.args) != 2 or not self._names_module(value.args[:1]):
            return None
        name = value.args[1]
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            return None
        if not all(part.isidentifier() for part in name.value.split(".")):
            return None
        same = name.value == target.id
        return ast.parse("pass" if same else f"{target.id} = {name.value}").body[0]

    def _names_module(self, arguments: list[ast.expr]) -> bool:
        if not arguments:
            return False
        first = arguments[0]
        if isinstance(first, ast.Constant):
            return isinstance(first.value, str) and self.is_theirs(first.value)
        return dotted(first) in self._texts | self.aliases


def without_modules(tree: ast.Module, modules: Collection[str]) -> ast.Module:
    """Return a file of tests that names what students hand in without their modules.

    A name of the file's own that is the same as the student's gets another: of
    `from sklearn import area` and `area = shapes.area(2)`, both become `course_area`.
    """
    trial = Renamed(modules)
    trial.visit(copy.deepcopy(tree))
    if clash := trial.taken & _own_names(tree, trial):
        tree = _Apart(clash).visit(tree)
    found: ast.Module = Renamed(modules).visit(tree)
    return found


def _own_names(tree: ast.Module, renamed: Renamed) -> set[str]:
    """Return the names that a file binds itself, in whatever scope."""
    names: set[str] = set()
    methods = _methods(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            theirs = isinstance(node, ast.ImportFrom) and renamed.is_theirs(node.module or "")
            names |= set() if theirs else {*origins_of(node)}
        elif isinstance(node, Function | ast.ClassDef):
            names |= {node.name} if node not in methods else set()
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _methods(tree: ast.AST) -> set[ast.stmt]:
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {part for node in classes for part in node.body}


class _Apart(ast.NodeTransformer):
    """Gives names of a file another one, wherever they stand."""

    def __init__(self, names: Collection[str]) -> None:
        self._other = {name: f"course_{name}" for name in names}
        self._methods: set[ast.stmt] = set()

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self._methods = _methods(node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._other.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._other.get(node.arg, node.arg)
        return self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> ast.AST:
        bound = node.asname or node.name
        if bound in self._other:
            node.asname = self._other[bound]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node not in self._methods:
            node.name = self._other.get(node.name, node.name)
        return self.generic_visit(node)


class Renamed(ast.NodeTransformer):
    """Leaves out imports of the students' modules; `modules.Linear` becomes `Linear`.

    taken : the names that stood behind a module, "Linear"
    """

    def __init__(self, modules: Collection[str]) -> None:
        self.taken: set[str] = set()
        self._loaded = _Loaded(modules)
        self._aliases = self._loaded.aliases
        self.is_theirs = self._loaded.is_theirs

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        """Leave out what loads a students' module, or a function of it by its name."""
        return self._loaded.replaced(node) or self.generic_visit(node)  # type: ignore[return-value]

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        """Leave out the students' modules, and remember the names that stand for them."""
        theirs = [alias for alias in node.names if self.is_theirs(alias.name)]
        self._aliases |= {alias.asname or alias.name for alias in theirs}
        node.names = [alias for alias in node.names if alias not in theirs]
        return node if node.names else ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        """Leave out an import from a students' module; a name given by `as` is set to theirs."""
        if not self.is_theirs(node.module or ""):
            self._aliases |= {a.asname or a.name for a in node.names if self.is_theirs(a.name)}
            node.names = [alias for alias in node.names if not self.is_theirs(alias.name)]
            return node if node.names else ast.Pass()
        renamed = [alias for alias in node.names if alias.asname and alias.asname != alias.name]
        return [ast.parse(f"{a.asname} = {a.name}").body[0] for a in renamed] or ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Name what a students' module holds without the module."""
        self.generic_visit(node)
        if dotted(node.value) in self._aliases:
            self.taken.add(node.attr)
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        return node
