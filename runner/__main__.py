"""The entrance of the command line: Ctrl-C is heard from here on.

Imports next to nothing by itself, for a second may pass until the rest is there.
"""

import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__" and not sys.flags.safe_path and HOME != sys.path[0] == os.getcwd():
    # By `python -m` modules are looked for in the current folder first, Python's own too. The
    # installed command does not look there, for it may be a stranger's; the program's own stays.
    del sys.path[0]

import atexit  # noqa: E402
import signal  # noqa: E402
from types import FrameType  # noqa: E402

STOPPED = 130


class Stopped(BaseException):
    """Ctrl-C, while a command is at work that does not hear it itself."""


def main() -> None:
    """Run the command line; Ctrl-C ends it in one line.

    The interpreter takes our handler back while it ends: by then Ctrl-C has nothing left to stop.
    """
    # OpenMP's threads would spin while they wait, on cores that others could use
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGINT, _stop)
    try:
        from runner.cli.app import main as run

        run()
    except Stopped:
        sys.stderr.write("stopped\n")
        sys.exit(STOPPED)
    finally:
        signal.signal(signal.SIGINT, _leave)


def _stop(number: int, frame: FrameType | None) -> None:
    """Unwind what is at work; leave at once while something is imported, or the second time.

    An exception in the middle of an import may be swallowed there, or printed, or become another.
    """
    signal.signal(signal.SIGINT, _leave)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _leave(number, frame)
        frame = frame.f_back
    raise Stopped


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"stopped\n")
    os._exit(STOPPED)


if __name__ == "__main__":
    main()
