"""The command line: parse, one call of the api, print, exit code. Computes nothing."""
