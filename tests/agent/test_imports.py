"""What must not be imported before the kernels' cache has its place."""

import subprocess
import sys


def test_the_commands_import_no_kernel() -> None:
    program = "import sys, afterfact_agent.__main__; sys.exit('afterfact_agent.meter.engine' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
