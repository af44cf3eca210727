"""Run the command line as ``python -m proxylm.cli``."""

import sys

from proxylm.cli._main import main

if __name__ == "__main__":
    sys.exit(main())
