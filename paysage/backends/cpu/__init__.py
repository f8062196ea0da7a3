"""What both backends share on the CPU: random arrays and the compiled loops.

Here tensors are NumPy arrays. The backend on PyTorch hands over views of its tensors' memory, so
that both backends draw the same numbers from the same seed. Files: `draws` (random arrays from a
`Generator`), `fused` (checked doors to the loops), `kernels` (the loops, in numba).
"""
