# %% [markdown]
# # Gaussian-process regression
#
# Inputs are rows: X has shape (n, d), y has shape (n,).

# %%
import numpy as np


# %%
def rbf(A, B, length, scale):
    """Return the kernel (n, m): scale^2 exp(-|a - b|^2 / (2 length^2)), A (n, d), B (m, d)."""
    ### START YOUR CODE ###
    # STUB: K = np.zeros((len(A), len(B)))
    d2 = np.sum(A**2, axis=1)[:, None] + np.sum(B**2, axis=1)[None, :] - 2 * A @ B.T
    K = scale**2 * np.exp(-np.maximum(d2, 0) / (2 * length**2))
    ### END YOUR CODE ###
    return K


# %%
def posterior_mean(X, y, Xs, length, scale, noise):
    """Return the mean (m,) at the rows of Xs. noise is a standard deviation."""
    ### START YOUR CODE ###
    # STUB: mean = np.zeros(len(Xs))
    K = rbf(X, X, length, scale) + noise**2 * np.eye(len(X))
    mean = rbf(Xs, X, length, scale) @ np.linalg.solve(K, y)
    ### END YOUR CODE ###
    return mean


# %%
def posterior_variance(X, Xs, length, scale, noise):
    """Return the variance (m,) of the function (without noise) at each row of Xs."""
    ### START YOUR CODE ###
    # STUB: var = np.zeros(len(Xs))
    K = rbf(X, X, length, scale) + noise**2 * np.eye(len(X))
    Ks = rbf(X, Xs, length, scale)
    var = scale**2 - np.sum(Ks * np.linalg.solve(K, Ks), axis=0)
    ### END YOUR CODE ###
    return var


# %%
def log_likelihood(X, y, length, scale, noise):
    """Return log p(y | X), a number: -1/2 y' K^-1 y - 1/2 log|K| - n/2 log(2 pi)."""
    ### START YOUR CODE ###
    # STUB: L = 0.0
    n = len(y)
    K = rbf(X, X, length, scale) + noise**2 * np.eye(n)
    C = np.linalg.cholesky(K)
    a = np.linalg.solve(C, y)
    L = -0.5 * a @ a - np.sum(np.log(np.diag(C))) - 0.5 * n * np.log(2 * np.pi)
    ### END YOUR CODE ###
    return L


# %%
def expected_improvement_z(mean, sd, best):
    """Return z = (mean - best) / sd where sd > 0, and 0 where sd is 0; arrays (m,)."""
    ### START YOUR CODE ###
    # STUB: z = np.zeros(len(mean))
    z = np.zeros(len(mean))
    known = sd > 0
    z[known] = (mean[known] - best) / sd[known]
    ### END YOUR CODE ###
    return z
