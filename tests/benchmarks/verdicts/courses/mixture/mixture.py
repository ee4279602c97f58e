# %% [markdown]
# # Expectation maximisation for a mixture of Gaussians
#
# X is (n, d): n points. There are k Gaussians, each with a variance for each feature:
# weights (k,), means (k, d), variances (k, d).

# %%
import numpy as np


# %%
def log_densities(X, means, variances):
    """Return (n, k): the logarithm of each Gaussian's density at each point."""
    ### START YOUR CODE ###
    # STUB: L = np.zeros((len(X), len(means)))
    diff = X[:, None, :] - means[None, :, :]
    L = -0.5 * np.sum(diff**2 / variances + np.log(2 * np.pi * variances), axis=2)
    ### END YOUR CODE ###
    return L


# %%
def responsibilities(L, weights):
    """Return (n, k): the probability of each Gaussian for each point, from log-densities L.

    L may be as small as -5000.
    """
    ### START YOUR CODE ###
    # STUB: R = L
    S = L + np.log(weights)
    S = S - S.max(axis=1, keepdims=True)
    R = np.exp(S)
    R = R / R.sum(axis=1, keepdims=True)
    ### END YOUR CODE ###
    return R


# %%
def m_step(X, R, floor):
    """Return the new weights (k,), means (k, d), variances (k, d).

    floor is added to each variance.
    """
    ### START YOUR CODE ###
    # STUB: weights, means, variances = R[0], X[:len(R[0])], X[:len(R[0])]
    N = R.sum(axis=0)
    weights = N / len(X)
    means = R.T @ X / N[:, None]
    variances = R.T @ X**2 / N[:, None] - means**2 + floor
    ### END YOUR CODE ###
    return weights, means, variances


# %%
def total_log_likelihood(L, weights):
    """Return sum_n log sum_k weights_k exp(L_nk), a number; L may be as small as -5000."""
    ### START YOUR CODE ###
    # STUB: total = 0.0
    S = L + np.log(weights)
    top = S.max(axis=1)
    total = np.sum(top + np.log(np.exp(S - top[:, None]).sum(axis=1)))
    ### END YOUR CODE ###
    return total


# %%
def bic(log_likelihood, n, d, k):
    """Return p log(n) - 2 log_likelihood, p the number of free parameters of the mixture."""
    ### START YOUR CODE ###
    # STUB: value = 0.0
    p = 2 * k * d + k - 1
    value = p * np.log(n) - 2 * log_likelihood
    ### END YOUR CODE ###
    return value
