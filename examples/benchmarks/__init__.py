"""Whole training steps in several libraries, on the same data, from the same weights.

    python -m examples.benchmarks                 every workload, every library installed
    python -m examples.benchmarks --help          fewer of them, longer rounds

A workload is a row of `workloads.py`. Its model is written once, in `models.py`, with
operations that each library spells in its best way (`ops/`); how a library runs steps is
in `peers/`. Each library works in a process of its own (`worker.py`); all of them take
turns (`rounds.py`), so that what disturbs the machine disturbs all. `report.py` prints
the table.
"""
