"""What every test runs under."""

import os

from hypothesis import settings

# The same examples at every run, and no limit on the time of one: machines differ.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

# Runs within the benchmark, which holds its work; it is no test.
collect_ignore = ["bench"]

# Every program that a test compiles is checked after each stage.
os.environ["EXPRGRAD_CHECK"] = "1"
