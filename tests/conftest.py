"""What every test and the programs it starts find in their environment, whoever runs pytest."""

import os

# Windows are drawn where no screen is needed; a test of a real X server says so itself. No fixture: Qt reads it early.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
