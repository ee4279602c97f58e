"""The sandbox of a student's process: layers, each used if the operating system offers it."""
