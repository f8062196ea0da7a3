"""`python -m paysage.cli` is `paysage`."""

import sys

from paysage.cli import main

sys.exit(main())
