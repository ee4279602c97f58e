# %% [markdown]
# # Convolution by hand
#
# Images are arrays (h, w), batches (n, c, h, w). No library that convolves.

# %%
import numpy as np


# %%
def output_size(n, k, p, s):
    """Return how many places a kernel of size k takes on n pixels.

    The pixels are padded by p on each side, the kernel moves by s.
    """
    ### START YOUR CODE ###
    # STUB: size = 0
    size = (n + 2 * p - k) // s + 1
    ### END YOUR CODE ###
    return size


# %%
def pad(x, p):
    """Return the image (h, w) with p rows and columns of zeros on each side."""
    ### START YOUR CODE ###
    # STUB: padded = x
    padded = np.zeros((x.shape[0] + 2 * p, x.shape[1] + 2 * p))
    padded[p : p + x.shape[0], p : p + x.shape[1]] = x
    ### END YOUR CODE ###
    return padded


# %%
def correlate(x, k):
    """Return the cross-correlation of the image x with the kernel k where k lies inside x."""
    ### START YOUR CODE ###
    # STUB: out = x
    kh, kw = k.shape
    out = np.zeros((x.shape[0] - kh + 1, x.shape[1] - kw + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.sum(x[i : i + kh, j : j + kw] * k)
    ### END YOUR CODE ###
    return out


# %%
def convolve(x, k):
    """Return the convolution of x with k where k lies inside x: the kernel is flipped."""
    ### START YOUR CODE ###
    # STUB: out = x
    out = correlate(x, k[::-1, ::-1])
    ### END YOUR CODE ###
    return out


# %%
def conv_forward(x, w, b, stride):
    """Return the scores (n, f, oh, ow) of a convolutional layer, without padding.

    x (n, c, h, w), w (f, c, kh, kw), b (f,)
    """
    ### START YOUR CODE ###
    # STUB: out = 0.0 * x
    kh, kw = w.shape[2:]
    oh = (x.shape[2] - kh) // stride + 1
    ow = (x.shape[3] - kw) // stride + 1
    out = np.zeros((x.shape[0], w.shape[0], oh, ow))
    for i in range(oh):
        for j in range(ow):
            window = x[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
            out[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3])) + b
    ### END YOUR CODE ###
    return out


# %%
def conv_backward(d_out, x, w):
    """Return the gradients (d_x, d_w, d_b) of a layer with stride 1, d_out (n, f, oh, ow)."""
    ### START YOUR CODE ###
    # STUB: d_x, d_w, d_b = 0.0 * x, 0.0 * w, np.zeros(len(w))
    kh, kw = w.shape[2:]
    d_x, d_w = np.zeros(x.shape), np.zeros(w.shape)
    d_b = np.sum(d_out, axis=(0, 2, 3))
    for i in range(d_out.shape[2]):
        for j in range(d_out.shape[3]):
            window = x[:, :, i : i + kh, j : j + kw]
            d_w += np.tensordot(d_out[:, :, i, j], window, axes=(0, 0))
            d_x[:, :, i : i + kh, j : j + kw] += np.tensordot(d_out[:, :, i, j], w, axes=(1, 0))
    ### END YOUR CODE ###
    return d_x, d_w, d_b


# %%
def max_pool(x, size):
    """Return the largest pixel of each block of size x size; h and w are multiples of size."""
    ### START YOUR CODE ###
    # STUB: out = x
    h, w = x.shape
    out = x.reshape(h // size, size, w // size, size).max(axis=(1, 3))
    ### END YOUR CODE ###
    return out


# %%
def max_pool_backward(d_out, x, size):
    """Return the gradient with respect to x: d_out where the block's largest pixel is, else 0."""
    ### START YOUR CODE ###
    # STUB: d_x = 0.0 * x
    d_x = np.zeros(x.shape)
    for i in range(d_out.shape[0]):
        for j in range(d_out.shape[1]):
            block = x[i * size : (i + 1) * size, j * size : (j + 1) * size]
            row, column = np.unravel_index(np.argmax(block), block.shape)
            d_x[i * size + row, j * size + column] = d_out[i, j]
    ### END YOUR CODE ###
    return d_x
