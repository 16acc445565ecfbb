"""`python3 tools/restore`: restores the table of a deployment. docs/OPERATIONS.md describes the procedure."""

import sys

from restore.cli import main

if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
