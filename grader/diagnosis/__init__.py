"""What a wrong answer means: the likely mistake, where the numbers show it."""
