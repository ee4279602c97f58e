"""What we override or call in libraries without their promise is still there.

pyproject.toml bounds these libraries from above: a new release is let in once this holds.
"""

import importlib
import inspect
import re
from pathlib import Path

import pytest

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
# Where it is used, and what: "module:Class.attribute".
USED = {
    "grader/in_kernel/kernel.py": [
        "IPython.core.interactiveshell:InteractiveShell.init_environment",
        "IPython.core.interactiveshell:InteractiveShell.init_history",
        "IPython.core.interactiveshell:InteractiveShell.init_completer",
        "IPython.core.interactiveshell:InteractiveShell.transform_cell",
        "ipykernel.zmqshell:ZMQInteractiveShell.ask_exit",
        "IPython.core.interactiveshell:InteractiveShell.showtraceback",
        "IPython.core.interactiveshell:InteractiveShell.showsyntaxerror",
        "IPython.core.interactiveshell:InteractiveShell.showindentationerror",
        "IPython.core.interactiveshell:InteractiveShell._get_exc_info",
        "IPython.core.interactiveshell:InteractiveShell._showtraceback",
        "IPython.core.interactiveshell:InteractiveShell._tee",
        "IPython.core.events:EventManager.callbacks",
        "IPython.core.profiledir:ProfileDir.create_profile_dir",
        "ipykernel.compiler:XCachingCompiler.get_code_name",
        "ipykernel.ipkernel:IPythonKernel.do_execute",
        "ipykernel.kernelbase:Kernel.execute_request",
        "ipykernel.kernelbase:Kernel.set_parent",
        "ipykernel.kernelbase:Kernel.raw_input",
        "ipykernel.kernelbase:Kernel.getpass",
        "ipykernel.kernelbase:Kernel.shell_channel_thread",
        "ipykernel.kernelbase:Kernel._supports_kernel_subshells",
        "ipykernel.kernelbase:Kernel._execute_sleep",
    ],
    "grader/in_kernel/figures.py": ["matplotlib.font_manager:_get_font.cache_clear"],
    "grader/in_kernel/messages.py": [
        "jupyter_client.session:Session.msg",
        "jupyter_client.session:Session.send",
    ],
    "grader/session/cell_outputs.py": [
        "nbclient.client:NotebookClient.process_message",
        "nbclient.client:NotebookClient.output",
        "nbclient.client:NotebookClient._update_display_id",
        "nbclient.client:NotebookClient.clear_display_id_mapping",
    ],
    "grader/suite/opening.py": [
        "_pytest.config:_prepareconfig",
        "_pytest.config:Config._do_configure",
        "_pytest.config:Config._ensure_unconfigure",
        "_pytest.main:Session.from_config",
    ],
    "grader/checks/cells.py": ["_pytest.assertion.rewrite:rewrite_asserts"],
}


@pytest.mark.parametrize(
    ("file", "place"), [(file, place) for file, places in USED.items() for place in places]
)
def test_what_we_use_of_a_library_is_still_called_so(file, place):
    module, _, path = place.partition(":")
    found = importlib.import_module(module)
    # A trait, or what __init__ alone sets, stands in the class's source.
    *outer, last = path.split(".")
    for name in outer:
        found = getattr(found, name, None)
        assert found is not None, f"{module} has no {name} any more; {file} uses it"
    known = hasattr(found, last) or re.search(rf"\bself\.{last}\b", inspect.getsource(found))
    assert known, f"{module} has no {path} any more: see where {file} uses `{last}`"
    assert re.search(rf"\b{last}\b", (PYPROJECT.parent / file).read_text()), f"not in {file}"


@pytest.mark.parametrize("library", ["ipykernel", "ipython", "nbclient", "pytest"])
def test_a_library_whose_internals_we_use_has_an_upper_bound(library):
    stated = re.search(rf'"{library}>=[^"]*,<[\d.]+"', PYPROJECT.read_text())
    assert stated, f"{library} in pyproject.toml"
