# %% [markdown]
# # Optimisers
#
# Parameters w and gradients g are arrays of one shape. Nothing is changed in place.

# %%
import numpy as np


# %%
def sgd_step(w, g, lr):
    """Return the parameters after one step of gradient descent."""
    ### START YOUR CODE ###
    # STUB: w_new = w
    w_new = w - lr * g
    ### END YOUR CODE ###
    return w_new


# %%
def momentum_step(w, g, v, lr, mu):
    """Return (w, v) after one step: v <- mu v - lr g, w <- w + v."""
    ### START YOUR CODE ###
    # STUB: w_new, v_new = w, v
    v_new = mu * v - lr * g
    w_new = w + v_new
    ### END YOUR CODE ###
    return w_new, v_new


# %%
def rmsprop_step(w, g, s, lr, rho, eps):
    """Return (w, s): s <- rho s + (1 - rho) g^2, w <- w - lr g / (sqrt(s) + eps)."""
    ### START YOUR CODE ###
    # STUB: w_new, s_new = w, s
    s_new = rho * s + (1 - rho) * g**2
    w_new = w - lr * g / (np.sqrt(s_new) + eps)
    ### END YOUR CODE ###
    return w_new, s_new


# %%
def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
    """Return (w, m, v) after the step number t = 1, 2, ...: moments with their bias corrected."""
    ### START YOUR CODE ###
    # STUB: w_new, m_new, v_new = w, m, v
    m_new = beta1 * m + (1 - beta1) * g
    v_new = beta2 * v + (1 - beta2) * g**2
    m_hat = m_new / (1 - beta1**t)
    v_hat = v_new / (1 - beta2**t)
    w_new = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    ### END YOUR CODE ###
    return w_new, m_new, v_new


# %%
def decayed_step(w, b, g_w, g_b, lr, decay):
    """Return (w, b) after a step with weight decay: of the weights, not of the biases."""
    ### START YOUR CODE ###
    # STUB: w_new, b_new = w, b
    w_new = w - lr * (g_w + decay * w)
    b_new = b - lr * g_b
    ### END YOUR CODE ###
    return w_new, b_new


# %%
def step_schedule(lr, epoch, drop, every):
    """Return the learning rate at an epoch: multiplied by drop after every so many epochs."""
    ### START YOUR CODE ###
    # STUB: rate = 0.0
    rate = lr * drop ** (epoch // every)
    ### END YOUR CODE ###
    return rate


# %%
def clip_by_norm(g, limit):
    """Return the gradient, scaled down to the length `limit` where it is longer."""
    ### START YOUR CODE ###
    # STUB: clipped = 0.0 * g
    norm = np.sqrt(np.sum(g**2))
    clipped = g * (limit / norm) if norm > limit else 1.0 * g
    ### END YOUR CODE ###
    return clipped


# %%
def newton_step(w, g, H):
    """Return w - H^-1 g."""
    ### START YOUR CODE ###
    # STUB: w_new = w
    w_new = w - np.linalg.solve(H, g)
    ### END YOUR CODE ###
    return w_new


# %%
class Momentum:
    """Gradient descent with momentum that keeps its own velocity."""

    def __init__(self, w, lr, mu):
        self.w = np.array(w, dtype=float)
        self.v = np.zeros_like(self.w)
        self.lr, self.mu = lr, mu

    def step(self, g):
        """Move self.w by one step, self.v with it."""
        ### START YOUR CODE ###
        # STUB: pass
        self.v = self.mu * self.v - self.lr * g
        self.w = self.w + self.v
        ### END YOUR CODE ###
