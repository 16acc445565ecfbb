"""The Python commands of the documents wait for AWS. Its stand-in is done at once."""

import time

time.sleep = lambda _: None
