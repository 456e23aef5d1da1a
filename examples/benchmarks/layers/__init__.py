"""Single operations and blocks of networks beside PyTorch's, values and gradients.

    python -m examples.benchmarks.layers                    all of them, eager PyTorch
    python -m examples.benchmarks.layers concat lstm        those whose names have one of these
    python -m examples.benchmarks.layers --compile --threads 2

The workloads one folder up are whole training steps, each library at its best. This is
the search for slow paths: many small programs, one after another in one process, both
libraries in turns.
"""
