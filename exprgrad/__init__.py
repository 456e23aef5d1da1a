"""A compiler for objectives: symbolic loss, readable gradient, one native step.

The names below are the public face. Each is loaded when first used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

PUBLIC = {
    "exprgrad.graph.tensor": "Tensor",
    "exprgrad.graph.leaves": "input parameter state step epoch",
    "exprgrad.graph.dtype": "float32 float64 int32 int64 bool_",
    "exprgrad.graph.elementwise": """constant astype where full broadcast_to
        add subtract multiply divide floor_divide remainder pow maximum minimum
        negative abs sign floor exp expm1 log log1p sqrt rsqrt tanh sigmoid softplus
        erf sin cos bfloat16 equal not_equal less less_equal greater greater_equal
        logical_and logical_or logical_not""",
    "exprgrad.graph.rounding": "ceil trunc round",
    "exprgrad.graph.truth": "isnan isinf isfinite any all",
    "exprgrad.graph.creation": """zeros ones zeros_like ones_like arange linspace""",
    "exprgrad.graph.movement": """reshape permute_dims expand_dims squeeze pad flip
        roll concat stack sliding_window take take_along_axis scatter_add""",
    "exprgrad.graph.reduction": """sum max min argmax argmin mean var std norm prod
        cumulative_sum einsum matmul tensordot""",
    "exprgrad.graph.activations": """relu leaky_relu elu gelu silu softmax log_softmax
        logsumexp clip square one_hot""",
    "exprgrad.graph.convolution": "conv2d max_pool2d avg_pool2d",
    "exprgrad.graph.special": "stop_gradient custom_gradient checkpoint",
    "exprgrad.graph.show": "listing",
    "exprgrad.grad": """grad value_and_grad jvp vjp jacobian hessian hvp check_grad""",
    "exprgrad.rewrite.simplify": "simplify",
    "exprgrad.runtime.function": "function",
    "exprgrad.inspect.explain": "explain",
    "exprgrad.inspect.formula": "formula",
    "exprgrad.inspect.math": "to_latex",
    "exprgrad.inspect.picture": "show to_dot",
    "exprgrad.interop.graphs": "to_networkx",
    "exprgrad.interop.reading": "from_sympy",
    "exprgrad.interop.symbolic": "scalar_function",
    "exprgrad.interop.writing": "to_sympy",
    "exprgrad.train": """Trainer Callback EarlyStopping GeneralizationLoss ProgressQuotient
        SuccessiveRises ReduceOnPlateau BoldDriver History Hyper""",
    "exprgrad.train.search": "search",
    "exprgrad.errors": """ExprgradError ShapeError DTypeError GraphError InputError
        IndexOutOfRange NonFiniteError CompileError""",
}
SUBMODULES = {
    "nn": "exprgrad.nn",
    "init": "exprgrad.nn.init",
    "random": "exprgrad.graph.random",
    "train": "exprgrad.train",
    "optim": "exprgrad.train.optim",
    "schedules": "exprgrad.train.schedules",
    "order": "exprgrad.train.order",
    "space": "exprgrad.train.space",
    "inspect": "exprgrad.inspect",
    "interop": "exprgrad.interop",
}
_MODULE_OF = {
    name: module for module, names in PUBLIC.items() for name in names.split()
}

__version__ = "0.1.0"
__all__ = [*_MODULE_OF, *SUBMODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF and name not in SUBMODULES:
        raise AttributeError(f"exprgrad has no {name!r}")
    importlib.import_module("exprgrad.graph")
    module = importlib.import_module(SUBMODULES.get(name) or _MODULE_OF[name])
    value = module if name in SUBMODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


class _Face(ModuleType):
    """Importing the folder `exprgrad.grad` must not hide the function `eg.grad`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """A function that is sent to another process refers to it by its name."""
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Face
