"""The formats in which the paper's authors published their networks.

A published network is a torch ``state_dict`` of bare parameters plus a ``config.yaml`` that says
everything else; the authors' minimal example saves its edges with the parameters and has no
config. Where the format's documentation leaves something open, the published program decides
(its behaviour, not its text, is followed here).
"""

from kcompile.frontend.published.config import read_config
from kcompile.frontend.published.minimal import is_minimal, minimal_checkpoint
from kcompile.frontend.published.network import published_checkpoint

__all__ = [
    "is_minimal",
    "minimal_checkpoint",
    "published_checkpoint",
    "read_config",
]
