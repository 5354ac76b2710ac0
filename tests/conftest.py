"""Settings that every test shares; fixtures live beside the tests that use them."""

from hypothesis import settings

# The same examples on every machine and in every run: a red test stays red until someone mends it.
settings.register_profile("losskit", deadline=None, derandomize=True)
settings.load_profile("losskit")
