"""`python -m kdfunc`."""

import sys

from kdfunc.cli import main

sys.exit(main())
