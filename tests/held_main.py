"""main.py under torchrun, with networks that are held until the first attempt has ended."""

import os
import sys

from support.fault_injection import hold

import main

if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    hold(6)  # in the second epoch
sys.exit(main.main())
