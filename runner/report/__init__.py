"""Tables by query: declared in specs, compiled to SQL, printed in several formats.

Draws what is recorded and computes nothing that SQL does not; imports no torch.
"""
