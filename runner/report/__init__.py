"""Tables by query: declared in specs, compiled to SQL, printed as text, Markdown, CSV or JSON.

Draws what is recorded and computes nothing that SQL does not; imports no torch.
"""
