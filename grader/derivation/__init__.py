"""Written derivations, read and followed step by step: facts for a reader, no verdict on points."""
