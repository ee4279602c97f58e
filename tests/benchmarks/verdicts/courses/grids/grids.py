# %% [markdown]
# # Grids: differences, boundary values, heat, and convolution through the Fourier transform

# %%
import numpy as np


# %%
def second_difference(u, h):
    """Return u'' at the inner points: (n - 2,) from u (n,) on a grid of spacing h."""
    ### START YOUR CODE ###
    # STUB: d = np.zeros(len(u) - 2)
    d = (u[:-2] - 2 * u[1:-1] + u[2:]) / h**2
    ### END YOUR CODE ###
    return d


# %%
def solve_bvp(f, left, right, n):
    """Return u (n + 1,) at x_i = i/n, where -u'' = f(x), u(0) = left, u(1) = right.

    Central differences; f takes an array of points.
    """
    ### START YOUR CODE ###
    # STUB: u = np.zeros(n + 1)
    h = 1 / n
    x = np.linspace(0, 1, n + 1)
    A = 2 * np.eye(n - 1) - np.eye(n - 1, k=1) - np.eye(n - 1, k=-1)
    b = h**2 * f(x[1:-1])
    b[0] += left
    b[-1] += right
    u = np.concatenate([[left], np.linalg.solve(A, b), [right]])
    ### END YOUR CODE ###
    return u


# %%
def heat_step(u, r):
    """Return u (n,) one explicit Euler step later; r = dt/h^2. The ends stay as they are.

    u itself must not change.
    """
    ### START YOUR CODE ###
    # STUB: v = u.copy()
    v = u.copy()
    v[1:-1] = u[1:-1] + r * (u[:-2] - 2 * u[1:-1] + u[2:])
    ### END YOUR CODE ###
    return v


# %%
def fft_convolve(x, k):
    """Return the full convolution (len(x) + len(k) - 1,) of two real signals, through the FFT."""
    ### START YOUR CODE ###
    # STUB: y = np.zeros(len(x) + len(k) - 1)
    n = len(x) + len(k) - 1
    y = np.fft.irfft(np.fft.rfft(x, n) * np.fft.rfft(k, n), n)
    ### END YOUR CODE ###
    return y


# %%
def amplitude_at(x, rate, freq):
    """Return the amplitude of the sine of frequency freq (Hz, above 0) in x, sampled at rate.

    freq falls on a bin of the FFT: 3 * sin(2 pi freq t) has amplitude 3.
    """
    ### START YOUR CODE ###
    # STUB: a = 0.0
    bin = round(freq * len(x) / rate)
    a = 2 * np.abs(np.fft.fft(x)[bin]) / len(x)
    ### END YOUR CODE ###
    return a


# %%
def importance_mean(values, log_p, log_q):
    """Return the self-normalised estimate of a mean under p, from draws of q: a number.

    The weights are p/q; log_p, log_q and values have shape (n,), log_p may be -3000.
    """
    ### START YOUR CODE ###
    # STUB: mean = 0.0
    w = log_p - log_q
    w = np.exp(w - w.max())
    mean = np.sum(w * values) / np.sum(w)
    ### END YOUR CODE ###
    return mean
