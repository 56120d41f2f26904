"""How the samples of a running verification do so far, in a few words."""

from __future__ import annotations

import numpy as np

from kcompile.frontend.model import Model
from kcompile.reference import Reference
from kcompile.tasks import classifies
from kcompile.verification.simulate import SampleRun


class Standing:
    """The largest error, what is lost, and for classifiers how many answers are the software's.

    Args:
        model: the network.
        reference: the golden solution.
    """

    def __init__(self, model: Model, reference: Reference) -> None:
        self._model, self._reference = model, reference
        self._classes = classifies(model.task)
        self._largest, self._lost, self._same, self._done = 0.0, 0, 0, 0

    def add(self, run: SampleRun) -> None:
        """One sample more has ended."""
        self._done += 1
        if not np.isfinite(run.outputs).all():
            self._lost += 1
            return
        wanted = self._reference.outputs[run.index]
        self._largest = max(self._largest, float(np.abs(run.outputs - wanted).max(initial=0.0)))
        if self._classes:
            answers = self._model.head(np.stack((run.outputs, wanted))).argmax(axis=1)
            self._same += int(answers[0] == answers[1])

    def __str__(self) -> str:
        allowed = self._reference.absolute_tolerance
        words = [f"error {self._largest:.2g} of {allowed:.2g}"]
        if self._classes:
            words.append(f"agreement {self._same / max(self._done, 1):.2%}")
        if self._lost:
            words.append(f"{self._lost} lost")
        return ", ".join(words)
