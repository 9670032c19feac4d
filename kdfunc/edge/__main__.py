"""`python -m kdfunc.edge`."""

import sys

from kdfunc.edge.main import main

sys.exit(main())
