"""A compiler for objectives: symbolic loss, readable gradient, one native step.

The names below are the public face. Each is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

PUBLIC = {
    "exprgrad.graph.leaves": "input parameter state step",
    "exprgrad.graph.dtype": "float32 float64 int32 int64 bool_",
    "exprgrad.graph.elementwise": """constant astype where full broadcast_to
        add subtract multiply divide floor_divide remainder pow maximum minimum
        negative abs sign floor exp expm1 log log1p sqrt rsqrt tanh sigmoid softplus
        erf sin cos equal not_equal less less_equal greater greater_equal
        logical_and logical_or logical_not""",
    "exprgrad.graph.movement": """reshape permute_dims expand_dims squeeze pad flip
        concat stack sliding_window take scatter_add""",
    "exprgrad.graph.reduction": """sum max min argmax argmin mean var norm prod
        cumulative_sum einsum matmul tensordot""",
    "exprgrad.interop.symbolic": "scalar_function",
    "exprgrad.interop.reading": "from_sympy",
    "exprgrad.interop.writing": "to_sympy",
    "exprgrad.interop.graphs": "to_networkx",
    "exprgrad.inspect.explain": "explain",
    "exprgrad.inspect.math": "to_latex",
    "exprgrad.inspect.picture": "to_dot",
}
_MODULE_OF = {name: module for module, names in PUBLIC.items() for name in names.split()}
_SUBMODULES = ("nn", "optim", "init", "random", "train", "inspect", "interop")

__version__ = "0.1.0"
__all__ = [*_MODULE_OF, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        importlib.import_module("exprgrad.graph")
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"exprgrad has no {name!r}")


def __dir__() -> list[str]:
    return __all__
