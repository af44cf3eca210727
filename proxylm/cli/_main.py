"""The program: arguments in, messages and an exit code out."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from proxylm.cli._commands import run_original
from proxylm.cli._parser import build_parser

INTERRUPTED = 130


class _Messages(logging.Handler):
    """Messages of the library on stderr, above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        text = " ".join(record.getMessage().split())
        tqdm.write(f"{record.levelname.lower()}: {text}", file=sys.stderr)


@contextmanager
def _messages(level: int) -> Iterator[None]:
    """Show what the library logs and warns."""
    logger = logging.getLogger("proxylm")
    handler, old_level = _Messages(), logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *args: logger.warning("%s", message)
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(old_level)


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return what a user can mend; anything else is a bug and shows its traceback."""
    # XGBoostError is a ValueError, a missing extra is an ImportError.
    expected = ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError
    lightgbm = sys.modules.get("lightgbm.basic")
    return expected if lightgbm is None else (*expected, lightgbm.LightGBMError)


def _describe(error: BaseException) -> str:
    """Return an error in one line; a bad table has a line for each problem."""
    if isinstance(error, OSError) and error.strerror:
        name = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{name}"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "\n".join(lines) if hasattr(error, "problems") else lines[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        0, or 1 after an error, 2 after wrong arguments, 130 after Ctrl-C.
    """
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
        if (args.command is None) == (args.config is None):
            parser.error("expected a command or --config FILE, one of the two")
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    if hasattr(sys.stdout, "reconfigure"):  # names of languages have all letters
        sys.stdout.reconfigure(errors="replace")
    level = logging.DEBUG if args.debug else logging.INFO
    try:
        with _messages(logging.WARNING if args.quiet else level):
            (args.command or run_original)(args)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as error:
        if args.debug:
            raise
        print(f"\nproxylm: {str(error) or 'Interrupted.'}", file=sys.stderr)
        return INTERRUPTED
    except _expected_errors() as error:
        if args.debug:
            raise
        print(f"proxylm: error: {_describe(error)}", file=sys.stderr)
        return 1
    return 0
