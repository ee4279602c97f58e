"""What `grade doctor` finds, and how it says so."""

import importlib
import io
import sys
from importlib import metadata

import pytest
from rich.console import Console

from grader import cli
from grader.authoring.template import write_example
from grader.cli.doctor import Finding
from grader.session import sandbox_check
from grader.session.sandbox_check import Probe

# The package has a command of that name.
doctor = importlib.import_module("grader.cli.doctor")


def versions(**known):
    def version_of(name):
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    return version_of


def everything(numpy):
    return versions(numpy=numpy, **dict.fromkeys(doctor.PACKAGES, "1.0"))


@pytest.mark.parametrize(
    ("version", "status"), [("1.26.4", "ok"), ("2.3.5", "ok"), ("2.4.0rc1", "fault")]
)
def test_numpy_is_right_below_2_4(version, status):
    finding, _ = doctor.find_packages(everything(version))
    assert (finding.name, finding.status) == ("numpy", status)
    assert "2.4" in finding.text


def test_a_missing_package_is_a_fault_that_names_it():
    numpy, packages = doctor.find_packages(versions(rich="13.0"))
    assert (numpy.status, packages.status) == ("fault", "fault")
    assert "nbclient" in packages.text
    assert "rich" not in packages.text


def test_isolation_is_tried_not_assumed():
    finding = doctor.find_isolation()
    assert (finding.status == "ok") == ("could not read or write" in finding.text)
    assert finding.status == "ok" or "student code can" in finding.text


def test_a_probe_that_gets_through_is_told(monkeypatch):
    from grader import session

    unconfined = session.open_session

    def opened(*arguments, **options):
        return unconfined(*arguments, **options, sandbox="none")

    monkeypatch.setattr("grader.session.open_session", opened)
    finding = doctor.find_isolation()
    assert finding.status == "note"
    assert "read other folders, write to other folders, reach the network" in finding.text


def layers(**probes):
    """What is found where each layer is so."""
    found = doctor.find_layers(lambda layer: probes.get(layer, Probe(layer, refusal="OSError")))
    return {finding.name: finding for finding in found}


linux = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")


@linux
def test_each_layer_is_tried_and_its_refusal_shown():
    found = layers(seccomp=Probe("seccomp", refusal="PermissionError: no"))
    assert set(found) == set(sandbox_check.layers_here())
    assert found["seccomp"] == Finding(
        "seccomp", "ok", "opening a network socket is refused: PermissionError: no"
    )


@linux
def test_a_layer_that_the_machine_lacks_is_told_with_its_reason():
    finding = layers(landlock=Probe("landlock", missing="no Landlock in this kernel"))["landlock"]
    assert finding.status == "note"
    assert "no Landlock in this kernel" in finding.text


@linux
def test_a_layer_that_refuses_nothing_is_a_fault():
    finding = layers(limits=Probe("limits"))["limits"]
    assert (finding.status, finding.text) == (
        "fault",
        "taking more memory than the limit is not refused",
    )


def test_a_system_without_layers_says_plainly_that_there_is_no_sandbox(monkeypatch):
    monkeypatch.setattr("grader.in_kernel.system.CAN_SANDBOX", False)
    (finding,) = doctor.find_layers()
    assert finding.status == "note"
    assert "has this account's rights" in finding.text


def test_the_shipped_data_is_found(monkeypatch):
    monkeypatch.delenv("GRADE_DATA", raising=False)
    found = {finding.name: finding for finding in doctor.find_data()}
    assert set(found) == {"mnist", "fashion-mnist"}
    assert all(finding.status == "ok" for finding in found.values())
    assert "the small included set" in found["mnist"].text


def test_a_data_folder_that_is_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADE_DATA", str(tmp_path / "nowhere"))
    first = next(iter(doctor.find_data()))
    assert (first.name, first.status) == ("GRADE_DATA", "note")


def test_a_kernel_answers_a_call():
    finding = doctor.find_kernel()
    assert finding.status == "ok", finding.text


def test_a_kernel_that_does_not_start_is_a_fault_with_its_reason(monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("grader.session.open_session", broken)
    finding = doctor.find_kernel()
    assert finding.status == "fault"
    assert "RuntimeError: no such kernel" in finding.text


def shown(findings, width=80):
    file = io.StringIO()
    doctor.show(findings, Console(file=file, width=width))
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80])
def test_findings_fit_the_terminal(width):
    text = shown(
        [Finding("isolation", "ok", "words " * 60), Finding("x" * 20, "ok", "path/" * 60)], width
    )
    assert max(map(len, text.split("\n"))) <= width


def test_the_last_line_says_what_it_amounts_to():
    assert shown([Finding("fork", "note", "")]).endswith("Notebooks can be graded here.\n")
    text = shown([Finding("kernel", "fault", "does not start"), Finding("fork", "ok", "")])
    assert text.endswith("Notebooks can't be graded here: kernel.\n")


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("note", 0), ("fault", 3)])
def test_the_command_exits_by_the_gravest_finding(monkeypatch, capsys, status, code):
    findings = [Finding("python", "ok", "3.11"), Finding("kernel", status, "text")]
    monkeypatch.setattr(doctor, "examine", lambda assignments, progress: findings)
    assert cli.run(["doctor"]) == code
    assert "kernel" in capsys.readouterr().out


def test_a_package_that_an_assignment_lacks_here_is_told_with_what_to_install(tmp_path):
    written = write_example("hw", tmp_path)
    settings = written.folder / "assignment.toml"
    (finding,) = doctor.find_assignments(tmp_path)
    assert finding.status == "ok"
    line = 'file = "hw.ipynb"\n'
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace(line, f'{line}requires = ["nowhere_at_all"]\n', 1))
    (finding,) = doctor.find_assignments(tmp_path)
    assert finding.status == "note"
    assert "hw.ipynb needs nowhere_at_all, which is not installed here: pip install" in finding.text
