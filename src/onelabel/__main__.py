"""``python -m onelabel``."""

import sys

from onelabel.cli import main

sys.exit(main())
