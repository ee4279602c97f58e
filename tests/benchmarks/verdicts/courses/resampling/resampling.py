# %% [markdown]
# # Estimates and how far to trust them
#
# numpy is allowed, its `corrcoef`, `cov` and `convolve` are not.

# %%
import numpy as np

# %% [markdown]
# ## 1. Describing a sample


# %%
def standard_error(x):
    """Return the standard error of the mean of x: s / sqrt(n), s with n - 1."""
    ### START YOUR CODE ###
    # STUB: se = 0.0
    n = len(x)
    s = np.sqrt(np.sum((x - np.mean(x)) ** 2) / (n - 1))
    se = s / np.sqrt(n)
    ### END YOUR CODE ###
    return se


def z_scores(X):
    """Return X (n, d) with each column at mean 0 and standard deviation 1 (divisor n)."""
    ### START YOUR CODE ###
    # STUB: Z = X
    centre = X.mean(axis=0)
    spread = X.std(axis=0)
    Z = (X - centre) / spread
    ### END YOUR CODE ###
    return Z


def weighted_mean(x, w):
    """Return the mean of x with the weights w, which need not add up to 1."""
    ### START YOUR CODE ###
    # STUB: value = 0.0
    value = np.sum(w * x) / np.sum(w)
    ### END YOUR CODE ###
    return value


def correlation(x, y):
    """Return Pearson's correlation of x and y."""
    ### START YOUR CODE ###
    # STUB: r = 0.0
    dx, dy = x - x.mean(), y - y.mean()
    r = np.sum(dx * dy) / np.sqrt(np.sum(dx**2) * np.sum(dy**2))
    ### END YOUR CODE ###
    return r


# %% [markdown]
# ## 2. Resampling


# %%
def jackknife(x, statistic):
    """Return the values of the statistic, one for each element of x left out."""
    ### START YOUR CODE ###
    # STUB: values = np.zeros(len(x))
    values = np.array([statistic(np.delete(x, i)) for i in range(len(x))])
    ### END YOUR CODE ###
    return values


def bootstrap_means(x, draws):
    """Return the mean of each bootstrap sample; draws (B, n) holds the indices drawn."""
    ### START YOUR CODE ###
    # STUB: means = np.zeros(len(draws))
    means = x[draws].mean(axis=1)
    ### END YOUR CODE ###
    return means


def permutation_p(observed, permuted):
    """Return the two-sided p-value: the share of |permuted| >= |observed|, counting observed in.

    (1 + number of such) / (1 + number of permutations)
    """
    ### START YOUR CODE ###
    # STUB: p = 1.0
    extreme = np.sum(np.abs(permuted) >= abs(observed))
    p = (1 + extreme) / (1 + len(permuted))
    ### END YOUR CODE ###
    return p


# %% [markdown]
# ## 3. Series in time


# %%
def moving_average(x, k):
    """Return the means of all windows of k neighbours, len(x) - k + 1 of them."""
    ### START YOUR CODE ###
    # STUB: out = x
    total = np.cumsum(np.concatenate([[0.0], x]))
    out = (total[k:] - total[:-k]) / k
    ### END YOUR CODE ###
    return out


def exponential_smoothing(x, alpha):
    """Return s with s[0] = x[0] and s[t] = alpha x[t] + (1 - alpha) s[t-1]."""
    ### START YOUR CODE ###
    # STUB: s = x
    s = np.zeros(len(x))
    s[0] = x[0]
    for t in range(1, len(x)):
        s[t] = alpha * x[t] + (1 - alpha) * s[t - 1]
    ### END YOUR CODE ###
    return s


def autocorrelation(x, lag):
    """Return the autocorrelation at a lag >= 1: sum of d[t] d[t+lag] over sum of d[t]^2."""
    ### START YOUR CODE ###
    # STUB: r = 0.0
    d = x - x.mean()
    r = np.sum(d[:-lag] * d[lag:]) / np.sum(d * d)
    ### END YOUR CODE ###
    return r
