"""`python -m genbench`, and the `genbench` script."""

import sys

from genbench.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
