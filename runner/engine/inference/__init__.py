"""Using a trained network: on files, on other folders, and as a file for other programs."""
