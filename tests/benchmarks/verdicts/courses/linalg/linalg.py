# %% [markdown]
# # Linear algebra by hand
#
# np.linalg is for norms alone, but for `principal_parts`.

# %%
import numpy as np


# %%
def normalise_rows(A):
    """Return A with each row divided by its Euclidean length."""
    ### START YOUR CODE ###
    # STUB: B = A
    B = A / np.sqrt(np.sum(A**2, axis=1, keepdims=True))
    ### END YOUR CODE ###
    return B


# %%
def frobenius(A):
    """Return the root of the sum of all squares."""
    ### START YOUR CODE ###
    # STUB: norm = 0.0
    norm = np.sqrt(np.sum(A**2))
    ### END YOUR CODE ###
    return norm


# %%
def back_substitution(U, b):
    """Return x with U x = b, U upper triangular."""
    ### START YOUR CODE ###
    # STUB: x = b
    n = len(b)
    x = np.zeros(n)
    for i in range(n - 1, -1, -1):
        x[i] = (b[i] - U[i, i + 1 :] @ x[i + 1 :]) / U[i, i]
    ### END YOUR CODE ###
    return x


# %%
def lu(A):
    """Return (L, U) with A = L U, ones on L's diagonal, no pivoting."""
    ### START YOUR CODE ###
    # STUB: L, U = A, A
    n = len(A)
    L, U = np.eye(n), np.array(A, dtype=float)
    for k in range(n):
        for i in range(k + 1, n):
            L[i, k] = U[i, k] / U[k, k]
            U[i] = U[i] - L[i, k] * U[k]
    ### END YOUR CODE ###
    return L, U


# %%
def cholesky(A):
    """Return the lower triangular L with A = L L^T."""
    ### START YOUR CODE ###
    # STUB: L = A
    n = len(A)
    L = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = A[i, j] - L[i, :j] @ L[j, :j]
            L[i, j] = np.sqrt(rest) if i == j else rest / L[j, j]
    ### END YOUR CODE ###
    return L


# %%
def gram_schmidt(A):
    """Return Q (m, n): the columns of A made orthonormal from left to right."""
    ### START YOUR CODE ###
    # STUB: Q = A
    Q = np.zeros(A.shape)
    for j in range(A.shape[1]):
        v = A[:, j] - Q[:, :j] @ (Q[:, :j].T @ A[:, j])
        Q[:, j] = v / np.linalg.norm(v)
    ### END YOUR CODE ###
    return Q


# %%
def project(b, a):
    """Return the projection of the vector b on the line of the vector a."""
    ### START YOUR CODE ###
    # STUB: p = b
    p = a * (a @ b) / (a @ a)
    ### END YOUR CODE ###
    return p


# %%
def householder(v):
    """Return the matrix that reflects at the plane orthogonal to v."""
    ### START YOUR CODE ###
    # STUB: H = np.eye(len(v))
    H = np.eye(len(v)) - 2.0 * np.outer(v, v) / (v @ v)
    ### END YOUR CODE ###
    return H


# %%
def jacobi_step(A, b, x):
    """Return one step of Jacobi's iteration for A x = b, from x."""
    ### START YOUR CODE ###
    # STUB: x_new = x
    d = np.diag(A)
    x_new = (b - (A @ x - d * x)) / d
    ### END YOUR CODE ###
    return x_new


# %%
def rayleigh(A, v):
    """Return the Rayleigh quotient of the vector v."""
    ### START YOUR CODE ###
    # STUB: value = 0.0
    value = (v @ A @ v) / (v @ v)
    ### END YOUR CODE ###
    return value


# %%
def power_iteration(A, v, steps):
    """Return the unit vector after so many steps of power iteration from v."""
    ### START YOUR CODE ###
    # STUB: u = v
    u = v
    for _ in range(steps):
        u = A @ u
        u = u / np.linalg.norm(u)
    ### END YOUR CODE ###
    return u


# %%
def covariance(X):
    """Return the covariance (d, d) of the columns of X (n, d), divided by n - 1."""
    ### START YOUR CODE ###
    # STUB: C = np.zeros((X.shape[1], X.shape[1]))
    Z = X - X.mean(axis=0)
    C = Z.T @ Z / (len(X) - 1)
    ### END YOUR CODE ###
    return C


# %%
def principal_parts(X, k):
    """Return X (n, d) rebuilt from its first k principal components, with its mean."""
    ### START YOUR CODE ###
    # STUB: rebuilt = X
    mean = X.mean(axis=0)
    _, _, Vt = np.linalg.svd(X - mean, full_matrices=False)
    V = Vt[:k].T
    rebuilt = mean + (X - mean) @ V @ V.T
    ### END YOUR CODE ###
    return rebuilt
