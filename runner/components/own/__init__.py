"""Components of the user's own: classes in Python files, which a spec names and a person allows.

A name, as `nets.py:WideNet`, is all that a spec can say. Permission comes with the invocation; the
settings are read from the text; what is imported are the bytes that were read and hashed.
"""
