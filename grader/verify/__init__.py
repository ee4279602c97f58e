"""`grade verify`: an assignment held against itself."""
