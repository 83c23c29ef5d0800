"""The page: a database in a browser, served on this machine alone or written into one file."""
