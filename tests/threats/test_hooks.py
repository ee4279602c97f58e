"""What a notebook hooks into IPython, pytest, the interpreter or numpy decides no verdict."""

import pytest

pytestmark = pytest.mark.any_user

HALF = 5.0

HOOKS = {
    "asserts dropped by an AST transformer": """
        import ast
        class Drop(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.copy_location(ast.Pass(), node)
        get_ipython().ast_transformers.append(Drop())
        """,
    "errors hidden": """
        ip = get_ipython()
        ip.showtraceback = ip._showtraceback = lambda *a, **k: None
        ip.set_custom_exc((BaseException,), lambda *a, **k: None)
        import sys
        sys.excepthook = lambda *a: None
        """,
    "run hooks": """
        def after(result=None):
            import builtins
            if result is not None:
                result.error_in_exec = result.error_before_exec = None
            builtins.passed = True
        for event in ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell"):
            get_ipython().events.register(event, after)
        """,
    "every later cell rewritten": """
        get_ipython().input_transformers_cleanup.append(lambda lines: ["pass\\n"])
        get_ipython().input_transformers_post.append(lambda lines: lines)
        """,
    "imports answered": """
        import sys, types
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name.startswith(("grader", "pytest", "numpy.testing")):
                    sys.modules[name] = types.ModuleType(name)
        sys.meta_path.insert(0, Finder())
        """,
    "pytest patched": """
        try:
            import _pytest.runner, _pytest.python
            _pytest.python.Function.runtest = lambda self: None
            _pytest.runner.call_and_report = lambda *a, **k: None
        except ImportError:
            pass
        """,
    "a tracer that makes failures go": """
        import sys, threading
        def trace(frame, event, arg):
            frame.f_trace_opcodes = False
            return trace
        sys.settrace(trace); sys.setprofile(lambda *a: None)
        threading.settrace(trace)
        """,
    "audit hook": """
        import sys
        sys.addaudithook(lambda event, args: None)
        """,
    "the kernel's own methods": """
        kernel = get_ipython().kernel
        kernel.do_execute = type(kernel).do_execute = None
        """,
    "messages answered before they are asked": """
        import asyncio, threading
        class Now(threading.Thread):
            def start(self): self.run()
        threading.Thread = Now
        """,
}


# Under the others the notebook's own cells don't run as they stand. That is its own loss.
HARMLESS = (
    "asserts dropped by an AST transformer",
    "errors hidden",
    "run hooks",
    "audit hook",
    "pytest patched",
)


@pytest.fixture(scope="module")
def verdicts(attacks):
    return attacks(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_earns_nothing(verdicts, points, hook):
    assert verdicts[hook]["status"] == "graded"
    assert points(verdicts[hook])["sigmoid"] == 0.0


@pytest.mark.parametrize("hook", HARMLESS)
def test_what_is_right_under_a_hook_keeps_its_points(verdicts, hook):
    assert verdicts[hook]["score"] == HALF
