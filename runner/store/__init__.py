"""The database: schema, migrations, claims, records and queries.

Owns every SQL statement but those that tables compile to. Knows keys, JSON and numbers; imports no
torch and knows nothing of what a stage does.
"""
