"""Covariances of a network's voltages by the linearised equations: what ensembles are held to."""

from __future__ import annotations

import numpy as np

from kcompile.ir import FloatArray, Graph, derivative
from kcompile.physics import NodeNoise, NoiseModel, kt_over_c
from kcompile.reference import Trajectory
from kcompile.units import Scale


def read_out_covariance(
    graph: Graph, trajectory: Trajectory, model: NoiseModel, scale: Scale, steps: int = 300
) -> FloatArray:
    """``[M, M]`` of the read-outs at the end: ``dP/dt = J P + P J^T + Q`` along a trajectory.

    For layers that grow or keep their size, fill with zeros and have no residual.
    """
    p = np.zeros((0, 0))
    for index, phase in enumerate(graph.phases):
        old = len(p)
        p = np.pad(p, (0, phase.nodes - old))
        for node in range(old, phase.nodes):
            farads = scale.c0 * float(graph.capacitance[node])
            p[node, node] = (kt_over_c(farads, model.kelvin) / scale.v0) ** 2
        noise = NodeNoise(graph, index, model, scale)
        h = phase.duration / steps

        def slope(p, t, index=index, noise=noise):
            v = trajectory.at(index, np.array([t]))[0]
            j = _jacobian(graph, index, v)
            return j @ p + p @ j.T + noise.covariance(v)

        for step in range(steps):
            t = step * h
            p = p + h * slope(p + h / 2 * slope(p, t), t + h / 2)
    read = graph.outputs - 1
    return p[np.ix_(read, read)]


def _jacobian(graph: Graph, phase: int, v: FloatArray) -> FloatArray:
    h = 1e-6
    steps = h * np.eye(len(v))
    up, down = derivative(graph, phase, v + steps), derivative(graph, phase, v - steps)
    return (up - down).T / (2 * h)
