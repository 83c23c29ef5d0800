"""What a spec may name: data sets, models, optimizers, schedules, losses.

A component is one frozen pydantic class: its fields are its settings, with limits and defaults, its
docstring is its reference, ``semantics`` is raised by hand when its results would change, and
``build()`` makes the thing. torch is imported inside ``build()`` or in a sibling ``*_net.py`` only.
"""
