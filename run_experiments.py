"""Runs the experiments of Neural Network Compression: The Functional Perspective.

The command `kdfunc run` by another name: `python run_experiments.py --help`.
"""

import sys

from kdfunc import cli

if __name__ == "__main__":
    sys.exit(cli.run(sys.argv[1:], command="run_experiments.py"))
