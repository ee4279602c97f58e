# %% [markdown]
# # How good is a classifier?

# %%
import numpy as np


# %%
def confusion(y_true, y_pred, k):
    """Return the counts (k, k): row = true class, column = predicted class."""
    ### START YOUR CODE ###
    # STUB: C = np.zeros((k, k), dtype=int)
    C = np.zeros((k, k), dtype=int)
    for t, p in zip(y_true, y_pred, strict=True):
        C[t, p] += 1
    ### END YOUR CODE ###
    return C


def precision_recall(C, c):
    """Return precision and recall of class c from a confusion matrix (rows: true)."""
    ### START YOUR CODE ###
    # STUB: precision, recall = 0.0, 0.0
    precision = C[c, c] / C[:, c].sum()
    recall = C[c, c] / C[c].sum()
    ### END YOUR CODE ###
    return precision, recall


def accuracy_of_top(P, y, k):
    """Return the share of rows whose class y is among the k largest of the row of P."""
    ### START YOUR CODE ###
    # STUB: share = 0.0
    best = np.argsort(P, axis=1)[:, -k:]
    share = np.mean(np.any(best == y[:, None], axis=1))
    ### END YOUR CODE ###
    return share


# %%
def roc_points(scores, y, thresholds):
    """Return (false positive rates, true positive rates): positive is score >= threshold."""
    ### START YOUR CODE ###
    # STUB: fpr, tpr = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    positive = scores[None, :] >= thresholds[:, None]
    tpr = (positive & (y == 1)).sum(axis=1) / np.sum(y == 1)
    fpr = (positive & (y == 0)).sum(axis=1) / np.sum(y == 0)
    ### END YOUR CODE ###
    return fpr, tpr


def area(x, y):
    """Return the area below the points (x, y), x rising, by the trapezoidal rule."""
    ### START YOUR CODE ###
    # STUB: value = 0.0
    value = np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2)
    ### END YOUR CODE ###
    return value


def brier(P, y):
    """Return the Brier score: the mean over rows of the squared distance of P to the one-hot y."""
    ### START YOUR CODE ###
    # STUB: value = 0.0
    onehot = np.eye(P.shape[1])[y]
    value = np.mean(np.sum((P - onehot) ** 2, axis=1))
    ### END YOUR CODE ###
    return value


# %%
def distances(A, B):
    """Return the Euclidean distances (n, m) of the rows of A (n, d) to those of B (m, d)."""
    ### START YOUR CODE ###
    # STUB: D = np.zeros((len(A), len(B)))
    D = np.sqrt(((A[:, None, :] - B[None, :, :]) ** 2).sum(axis=2))
    ### END YOUR CODE ###
    return D


def predict_knn(D, y, k):
    """Return the class most frequent among the k nearest, for each row of distances D (m, n).

    y : classes (n,) of the columns; of equally frequent classes the smallest
    """
    ### START YOUR CODE ###
    # STUB: labels = np.zeros(len(D), dtype=int)
    nearest = np.argsort(D, axis=1)[:, :k]
    labels = np.array([np.bincount(y[row]).argmax() for row in nearest])
    ### END YOUR CODE ###
    return labels


def assign(X, centres):
    """Return the number of the nearest centre for each row of X."""
    ### START YOUR CODE ###
    # STUB: labels = np.zeros(len(X), dtype=int)
    labels = distances(X, centres).argmin(axis=1)
    ### END YOUR CODE ###
    return labels


def new_centres(X, labels, k):
    """Return the means (k, d) of the rows of each cluster; no cluster is empty."""
    ### START YOUR CODE ###
    # STUB: centres = np.zeros((k, X.shape[1]))
    centres = np.array([X[labels == j].mean(axis=0) for j in range(k)])
    ### END YOUR CODE ###
    return centres
