"""`python -m kdfunc`."""

import sys

from kdfunc.main import main

sys.exit(main())
