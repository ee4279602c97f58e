"""Read written derivations and judge each step: facts for a person, not points."""
