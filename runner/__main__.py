"""``python -m runner`` is the command line."""

from runner.cli.app import main

if __name__ == "__main__":
    main()
