"""What every test relies on."""

from __future__ import annotations

import hypothesis

# Machines are slow and busy at times: no test judges by the clock.
hypothesis.settings.register_profile("kcompile", deadline=None)
hypothesis.settings.load_profile("kcompile")
