"""Checks that instructors write with: `measure_*` returns evidence, `assert_*` raises.

They take plain arrays and callables, need numpy alone, and work in any notebook:

    assert_close(sigmoid(z), 1 / (1 + np.exp(-z)), called="sigmoid(z)")
    assert_gradient(cost, grad, at=rng.normal(size=5), rng=rng, name="w", factors={"m": m})

A failure is a CheckFailed whose `problem` names the mistake if the numbers show it
("the gradient with respect to w is 120 times too large") and whose `hint` says what to
look at next ("120 = m: is the mean (1/m) missing?"). Neither shows an input or an answer.
"""

from grader.checks.arrays import (
    as_array,
    as_scalar,
    assert_dtype,
    assert_finite,
    assert_shape,
)
from grader.checks.calls import (
    Samples,
    assert_one_of,
    call_quietly,
    call_unchanging,
    sample_calls,
)
from grader.checks.cells import run_cell, run_examples
from grader.checks.closeness import (
    Closeness,
    assert_close,
    assert_close_to_one_of,
    assert_not_dummy,
    measure_close,
)
from grader.checks.conduct import (
    assert_deterministic,
    assert_no_warnings,
    assert_stable,
    assert_unchanged,
    assert_vectorised,
)
from grader.checks.convergence import (
    Convergence,
    assert_convergence_order,
    measure_convergence_order,
)
from grader.checks.counted import CalledMore, Counted, counted
from grader.checks.credit import partial_credit
from grader.checks.curvature import (
    assert_convex,
    assert_not_convex_witness,
    assert_psd,
    assert_symmetric,
    measure_convexity,
)
from grader.checks.derivative import (
    assert_backward,
    assert_derivative,
    assert_jacobian,
)
from grader.checks.differences import numerical_derivative, numerical_gradient, numerical_jacobian
from grader.checks.distributions import (
    assert_distribution,
    assert_drawn,
    assert_frequencies,
    assert_mean,
    assert_uniform,
    assert_variance,
)
from grader.checks.forbidden import Breach, find_forbidden, names_meant
from grader.checks.frames import assert_frame
from grader.checks.gradient import assert_gradient
from grader.checks.growth import Growth, assert_growth, assert_no_leak, measure_growth
from grader.checks.linear import (
    assert_eigenpairs,
    assert_permuted,
    assert_same_labels,
    assert_same_subspace,
    assert_solves,
    assert_up_to_sign,
    condition_room,
    measure_backward_error,
)
from grader.checks.modules import (
    assert_gradients_reach,
    assert_mode,
    assert_module,
    assert_parameter_count,
    module_buffers,
    module_gradients,
    module_parameters,
    put_parameters,
)
from grader.checks.objects import assert_raises, live
from grader.checks.operations import assert_operations
from grader.checks.parameters import (
    Layers,
    find_layers,
    read_parameters,
    write_parameters,
)
from grader.checks.plots import (
    Curve,
    assert_curve,
    assert_figure_count,
    assert_histogram,
    assert_image,
    assert_labelled,
    assert_regions,
    assert_series,
    find_curve,
    find_histogram,
    find_image,
    find_regions,
    find_series,
)
from grader.checks.rates import (
    assert_accuracy,
    assert_error_rate,
    assert_in_range,
    assert_monotone,
    assert_probabilities,
)
from grader.checks.slopes import GradientEvidence, measure_gradient, measure_gradient_error
from grader.checks.sparse import assert_sparse
from grader.checks.spectra import assert_spectrum
from grader.checks.words import assert_says, assert_tells, numbers_in
from grader.diagnosis.case import Diagnosis
from grader.diagnosis.values import diagnose

__all__ = [
    "Breach",
    "CalledMore",
    "Closeness",
    "Convergence",
    "Counted",
    "Curve",
    "Diagnosis",
    "GradientEvidence",
    "Growth",
    "Layers",
    "Samples",
    "as_array",
    "as_scalar",
    "assert_accuracy",
    "assert_backward",
    "assert_close",
    "assert_close_to_one_of",
    "assert_convergence_order",
    "assert_convex",
    "assert_curve",
    "assert_derivative",
    "assert_deterministic",
    "assert_distribution",
    "assert_drawn",
    "assert_dtype",
    "assert_eigenpairs",
    "assert_error_rate",
    "assert_figure_count",
    "assert_finite",
    "assert_frame",
    "assert_frequencies",
    "assert_gradient",
    "assert_gradients_reach",
    "assert_growth",
    "assert_histogram",
    "assert_image",
    "assert_in_range",
    "assert_jacobian",
    "assert_labelled",
    "assert_mean",
    "assert_mode",
    "assert_module",
    "assert_monotone",
    "assert_no_leak",
    "assert_no_warnings",
    "assert_not_convex_witness",
    "assert_not_dummy",
    "assert_one_of",
    "assert_operations",
    "assert_parameter_count",
    "assert_permuted",
    "assert_probabilities",
    "assert_psd",
    "assert_raises",
    "assert_regions",
    "assert_same_labels",
    "assert_same_subspace",
    "assert_says",
    "assert_series",
    "assert_shape",
    "assert_solves",
    "assert_sparse",
    "assert_spectrum",
    "assert_stable",
    "assert_symmetric",
    "assert_tells",
    "assert_unchanged",
    "assert_uniform",
    "assert_up_to_sign",
    "assert_variance",
    "assert_vectorised",
    "call_quietly",
    "call_unchanging",
    "condition_room",
    "counted",
    "diagnose",
    "find_curve",
    "find_forbidden",
    "find_histogram",
    "find_image",
    "find_layers",
    "find_regions",
    "find_series",
    "live",
    "measure_backward_error",
    "measure_close",
    "measure_convergence_order",
    "measure_convexity",
    "measure_gradient",
    "measure_gradient_error",
    "measure_growth",
    "module_buffers",
    "module_gradients",
    "module_parameters",
    "names_meant",
    "numbers_in",
    "numerical_derivative",
    "numerical_gradient",
    "numerical_jacobian",
    "partial_credit",
    "put_parameters",
    "read_parameters",
    "run_cell",
    "run_examples",
    "sample_calls",
    "write_parameters",
]
