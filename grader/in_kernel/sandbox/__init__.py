"""What closes the student's process in: layers, each used where the kernel offers it."""
