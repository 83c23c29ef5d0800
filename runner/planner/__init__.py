"""Planning: pure functions from plan and facts to plan, what they cost, and how they read.

Knows keys, needs, seconds and bytes only: no torch, no files, no database, no component.
"""
