# %% [markdown]
# # Layers for sequences
#
# Every array has time along its first axis and features along its second.

# %%
import numpy as np


def softmax_rows(S):
    """Given: the softmax of each row."""
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


# %%
def layer_norm(x, gamma, beta, eps):
    """Return each row of x (T, d) normalised to mean 0 and variance 1, times gamma, plus beta.

    eps is added to the variance, inside the root.
    """
    ### START YOUR CODE ###
    # STUB: y = x
    mu = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    y = gamma * (x - mu) / np.sqrt(var + eps) + beta
    ### END YOUR CODE ###
    return y


# %%
def rms_norm(x, gamma):
    """Return each row of x divided by the root of the mean of its squares, times gamma."""
    ### START YOUR CODE ###
    # STUB: y = x
    y = gamma * x / np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    ### END YOUR CODE ###
    return y


# %%
def dropout(x, u, p):
    """Return x with an element dropped where u < p; what stays is divided by 1 - p.

    u : uniform numbers in [0, 1), of x's shape
    """
    ### START YOUR CODE ###
    # STUB: y = x
    keep = u >= p
    y = x * keep / (1 - p)
    ### END YOUR CODE ###
    return y


# %%
def causal_mask(T):
    """Return (T, T), True where a query (row) may look at a key (column): not at later ones."""
    ### START YOUR CODE ###
    # STUB: mask = np.zeros((T, T), dtype=bool)
    mask = np.arange(T)[None, :] <= np.arange(T)[:, None]
    ### END YOUR CODE ###
    return mask


# %%
def attention_weights(Q, K):
    """Return softmax(Q K^T / sqrt(d)) (Tq, Tk), causal where position k > q is masked."""
    ### START YOUR CODE ###
    # STUB: A = np.zeros((len(Q), len(K)))
    scores = Q @ K.T / np.sqrt(Q.shape[1])
    later = np.arange(len(K))[None, :] > np.arange(len(Q))[:, None]
    scores = np.where(later, -1e9, scores)
    A = softmax_rows(scores)
    ### END YOUR CODE ###
    return A


# %%
def attend(Q, K, V):
    """Return what attention gives: the weighted sums of V's rows (Tq, dv)."""
    ### START YOUR CODE ###
    # STUB: out = V
    out = attention_weights(Q, K) @ V
    ### END YOUR CODE ###
    return out


# %%
def positions(T, d):
    """Return (T, d): sin(t / 10000^(2i/d)) in column 2i, cos of the same in column 2i + 1."""
    ### START YOUR CODE ###
    # STUB: P = np.zeros((T, d))
    P = np.zeros((T, d))
    t = np.arange(T)[:, None]
    rate = 10000.0 ** (np.arange(0, d, 2) / d)
    P[:, 0::2] = np.sin(t / rate)
    P[:, 1::2] = np.cos(t / rate)
    ### END YOUR CODE ###
    return P


# %%
class RNN:
    """h_t = tanh(W h_(t-1) + U x_t + b), h before the first step is 0."""

    def __init__(self, W, U, b):
        self.W, self.U, self.b = W, U, b

    def forward(self, x):
        """Return all states (T, n) for x (T, d)."""
        ### START YOUR CODE ###
        # STUB: H = np.zeros((len(x), len(self.b)))
        h = np.zeros(len(self.b))
        H = []
        for row in x:
            h = np.tanh(self.W @ h + self.U @ row + self.b)
            H.append(h)
        H = np.array(H)
        ### END YOUR CODE ###
        return H

    def loss_gradient(self, x, target):
        """Return dL/dW (n, n), dL/db (n,) of L = 1/2 sum (h_T - target)^2, h_T the last state."""
        ### START YOUR CODE ###
        # STUB: dW, db = np.zeros(self.W.shape), np.zeros(len(self.b))
        H = self.forward(x)
        dW, db = np.zeros(self.W.shape), np.zeros(len(self.b))
        dh = H[-1] - target
        for t in range(len(x) - 1, -1, -1):
            da = dh * (1 - H[t] ** 2)
            before = H[t - 1] if t > 0 else np.zeros(len(self.b))
            dW += np.outer(da, before)
            db += da
            dh = self.W.T @ da
        ### END YOUR CODE ###
        return dW, db
