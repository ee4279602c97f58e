# %% [markdown]
# # The Kalman filter
#
# The state is x (n,) with covariance P (n, n); a measurement is z (m,).

# %%
import numpy as np


# %%
def predict(x, P, A, Q):
    """Return the state and its covariance one step later: x' = A x, with process noise Q (n, n)."""
    ### START YOUR CODE ###
    # STUB: x_new, P_new = x, P
    x_new = A @ x
    P_new = A @ P @ A.T + Q
    ### END YOUR CODE ###
    return x_new, P_new


# %%
def gain(P, H, R):
    """Return the gain K (n, m) for measurements z = H x + noise of covariance R (m, m)."""
    ### START YOUR CODE ###
    # STUB: K = H.T
    S = H @ P @ H.T + R
    K = P @ H.T @ np.linalg.inv(S)
    ### END YOUR CODE ###
    return K


# %%
def update(x, P, z, H, R):
    """Return the state and its covariance after the measurement z."""
    ### START YOUR CODE ###
    # STUB: x_new, P_new = x, P
    K = gain(P, H, R)
    x_new = x + K @ (z - H @ x)
    P_new = (np.eye(len(x)) - K @ H) @ P
    ### END YOUR CODE ###
    return x_new, P_new


# %%
def run(x, P, Z, A, Q, H, R):
    """Return the states (T, n) after each of the measurements Z (T, m): predict, then update."""
    ### START YOUR CODE ###
    # STUB: states = np.zeros((len(Z), len(x)))
    states = []
    for z in Z:
        x, P = predict(x, P, A, Q)
        x, P = update(x, P, z, H, R)
        states.append(x)
    states = np.array(states)
    ### END YOUR CODE ###
    return states


# %%
def turn(angle_deg, speed, dt):
    """Return the step (2,) of a vehicle: east and north, angle in degrees from north, clockwise."""
    ### START YOUR CODE ###
    # STUB: step = np.zeros(2)
    a = np.deg2rad(angle_deg)
    step = speed * dt * np.array([np.sin(a), np.cos(a)])
    ### END YOUR CODE ###
    return step


# %%
def rmse(states, truth):
    """Return the root of the mean squared distance between states and truth, both (T, n)."""
    ### START YOUR CODE ###
    # STUB: error = 0.0
    error = np.sqrt(np.mean(np.sum((states - truth) ** 2, axis=1)))
    ### END YOUR CODE ###
    return error
