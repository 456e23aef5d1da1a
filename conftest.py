"""What every test and every example of the package's pages runs under."""

import os
import tempfile

from hypothesis import settings

# The same examples at every run, and no limit on the time of one: machines differ.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

# Every program that a test compiles is checked after each stage, and no test finds or
# leaves code in the user's own folder.
os.environ["EXPRGRAD_CHECK"] = "1"
_folder = tempfile.TemporaryDirectory(prefix="exprgrad-tests-")
os.environ["EXPRGRAD_CACHE"] = _folder.name
