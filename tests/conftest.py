"""What every test and the programs it starts find in their environment, whoever runs pytest.

Set here and not in a fixture, for numba and Qt read it when they are imported.
"""

import os
from pathlib import Path

# Windows are drawn where no screen is needed; a test of a real X server says so itself.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Kernels compiled once serve all test processes, the programs they start, and the next run.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "numba"))
