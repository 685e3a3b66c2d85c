"""Make ``python -m wakeword`` the command ``wakeword``."""

import sys

from wakeword.cli import main

if __name__ == "__main__":
    sys.exit(main())
