"""Checks of torch modules: their parameters, gradients, buffers and modes, as arrays.

`model` is the stand-in for a module in the student's process; torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from grader.checks.arrays import as_array
from grader.checks.closeness import assert_close
from grader.checks.showing import describe_type, shape_of
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed


def module_parameters(model: Any) -> dict[str, Array]:
    """Return a module's parameters by name, as arrays."""
    return _arrays(model.named_parameters(), "parameter")


def module_buffers(model: Any) -> dict[str, Array]:
    """Return a module's buffers by name, as arrays: running means, counts of batches."""
    return _arrays(model.named_buffers(), "buffer")


def module_gradients(model: Any) -> dict[str, Array | None]:
    """Return the gradient of each parameter by name; None for a parameter without gradient."""
    found: dict[str, Array | None] = {}
    for name in module_parameters(model):
        gradient = model.attribute(f"{name}.grad")
        found[name] = None if gradient is None else as_array(gradient, called=f"{name}.grad")
    return found


def put_parameters(
    model: Any, values: Mapping[str, Any], tensor: Callable[[Any], Any], *, called: str = ""
) -> None:
    """Put parameters and buffers into a module by their names, as load_state_dict does.

    values : by name, of the parameter's shape; other parameters don't change
    tensor : student.tensor
    Raises CheckFailed if the module doesn't have the name, or has it with another shape.
    """
    known = model.state_dict()
    for name, value in values.items():
        if name not in known:
            raise CheckFailed(
                f"the module has no parameter {name!r}",
                hint=f"It has {', '.join(sorted(map(str, known))[:12]) or 'none at all'}.",
                called=called,
            )
        shape = np.shape(value)
        if np.shape(known[name]) != shape:
            raise CheckFailed(
                f"parameter {name!r} has shape {shape_of(np.shape(known[name]))}, expected "
                f"{shape_of(shape)}",
                called=called,
            )
    made = {
        name: tensor(np.asarray(value, dtype=np.asarray(known[name]).dtype))
        for name, value in values.items()
    }
    model.load_state_dict(made, strict=False)


def assert_parameter_count(
    model: Any, expected: int, *, called: str = "", noun: str = "the module"
) -> None:
    """Accept a module whose parameters hold this many numbers in all.

    Raises CheckFailed, with the shape of each parameter.
    """
    found = module_parameters(model)
    count = sum(array.size for array in found.values())
    if count == expected:
        return
    biases = sum(array.size for name, array in found.items() if name.endswith("bias"))
    hint = ""
    if count - biases == expected and biases:
        hint = "Without its biases it would be right."
    elif not found:
        hint = "Are the layers in a list? Make them attributes of the module, or use a ModuleList."
    raise CheckFailed(
        f"{noun} has {count} parameters, expected {expected}",
        hint=hint,
        called=called,
        got=", ".join(f"{name} {shape_of(array.shape)}" for name, array in found.items()),
    )


def assert_gradients_reach(
    model: Any,
    *,
    frozen: Collection[str] = (),
    zero: Collection[str] = (),
    called: str = "",
) -> None:
    """Accept a module after backward() where each parameter has a finite gradient that is not 0.

    frozen : names of parameters that must not have a gradient
    zero : names of parameters whose gradient may be 0
    Raises CheckFailed, which says whether a gradient is missing (None) or 0.
    """
    found = module_gradients(model)
    if unknown := [name for name in (*frozen, *zero) if name not in found]:
        raise CheckFailed(f"the module has no parameter {unknown[0]!r}", called=called)
    cut = [name for name, grad in found.items() if grad is None and name not in frozen]
    if cut:
        raise CheckFailed(
            f"no gradient reaches {', '.join(cut)}",
            hint="Is it cut off by .detach(), .item(), .data, numpy or torch.no_grad()?"
            if len(cut) < len(found)
            else "Is backward() called, on a value that depends on the parameters?",
            called=called,
        )
    for name, grad in found.items():
        if grad is None:
            continue
        if name in frozen and np.any(grad):
            raise CheckFailed(
                f"{name} has a gradient, but it should be frozen",
                hint="See requires_grad_(False).",
                called=called,
            )
        if not np.isfinite(grad).all():
            raise CheckFailed(f"the gradient of {name} is not finite", called=called)
        if name not in (*zero, *frozen) and not np.any(grad):
            raise CheckFailed(
                f"the gradient of {name} is 0 everywhere",
                hint="Is a unit dead (a ReLU below 0), or its output multiplied by 0?",
                called=called,
            )


def assert_mode(model: Any, *, training: bool, called: str = "") -> None:
    """Accept a module that is in train (True) or in eval mode (False), with all its parts.

    Raises CheckFailed, which names the first part in the other mode.
    """
    for name, part in model.named_modules():
        mode = part.training
        if mode is not training:
            where = f"its part {name!r}" if name else "the module"
            raise CheckFailed(
                f"{where} is in {'eval' if training else 'train'} mode",
                hint=f"Call model.{'train' if training else 'eval'}() before.",
                called=called,
            )


def assert_module(
    model: Any,
    expected: Callable[..., Any],
    *inputs: Any,
    tensor: Callable[[Any], Any],
    rtol: float = 1e-4,
    atol: float = 1e-5,
    called: str = "",
    noun: str = "the output",
) -> None:
    """Accept a module whose output equals that of a numpy function with the same parameters.

    expected : called as expected(parameters, *inputs), parameters by name
    inputs : arrays; tensor : student.tensor
    rtol, atol : by default, for the precision of float32
    """
    known = {name: np.asarray(value) for name, value in model.state_dict().items()}
    output = model(*(tensor(np.asarray(one)) for one in inputs))
    assert_close(output, expected(known, *inputs), rtol=rtol, atol=atol, called=called, noun=noun)


def _arrays(pairs: Any, noun: str) -> dict[str, Array]:
    found = {}
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise CheckFailed(f"got {describe_type(pair)}, expected a name and a {noun}")
        found[pair[0]] = as_array(pair[1], called=pair[0])
    return found
