"""The owner of `.runner/`: what lies there, under which names, and how it appears and goes.

Owns names and paths of all below the folder, files that appear whole or not at all, the lock on
it, its size limit, the digests of files, and who a process is. Knows what a state says of itself,
but no tensor, no component and no database. Owns, too, how artifacts go to a store that machines
share, and come from there.
"""
