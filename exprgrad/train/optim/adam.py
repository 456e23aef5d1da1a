"""Adam and its kind: means of the gradient and of its square, corrected at the start."""

from __future__ import annotations

from typing import ClassVar

from exprgrad.graph import dtype as dtypes
from exprgrad.graph.elementwise import abs, expm1, log, maximum, pow, sqrt
from exprgrad.graph.elementwise import constant as fixed
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Amount, Fading, Hyper, Option, Variants
from exprgrad.train.rule import Optimizer, Updates


class Adam(Optimizer):
    """Steps along the mean gradient over the root of the mean square.

    Kingma and Ba 2015, Adam, algorithm 1; t = 1, 2, ... counts updates. ε stands beside
    the corrected root (PyTorch, Optax), or, with `epsilon_hat`, beside the raw one (end
    of section 2; Keras). `amsgrad` divides by the largest mean square so far (Reddi et
    al. 2018): of the raw ones, or of the corrected with `corrected_maximum` (Optax).

    >>> import exprgrad as eg
    >>> print(eg.formula(Adam()))
    m' = β₁ * m + (1.0 - β₁) * g
    v' = β₂ * v + (1.0 - β₂) * g * g
    θ' = θ - η / (1.0 - β₁ ** t) * m' / (sqrt(v') / sqrt(1.0 - β₂ ** t) + ε)
    >>> print(str(eg.formula(Adam(variant="keras"))).splitlines()[-1])
    θ' = θ - η / (1.0 - β₁ ** t) * sqrt(1.0 - β₂ ** t) * m' / (sqrt(v') + ε)
    >>> w = eg.parameter("w", (3,))
    >>> [s.name for s in Adam(amsgrad=True).updates((w * w).sum())]
    ['w.first', 'w.second', 'w.largest', 'w', 'updates']
    """

    learning_rate: Hyper = 1e-3
    beta1: Fading = 0.9
    beta2: Fading = 0.999
    epsilon: Amount = 1e-8
    amsgrad: Option = False
    epsilon_hat: Option = False
    corrected_maximum: Option = False
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {"corrected_maximum": True},
        "keras": {"epsilon": 1e-7, "epsilon_hat": True},
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """θ' = θ - η m̂ / (√v̂ + ε)"""
        found, step = adam_step(self, parameter, gradient)
        return {**found, parameter: parameter - step}


class AdamW(Optimizer):
    """Adam that also shrinks parameters by η λ, apart from the gradient.

    Loshchilov and Hutter 2019, Decoupled weight decay regularization, algorithm 2. λ
    times the gradient's scale, as in `Chain(L2(), Adam())`, is another thing. λ is
    PyTorch's 0.01, Optax' 0.0001, Keras' 0.004.

    >>> import exprgrad as eg
    >>> print(str(eg.formula(AdamW())).splitlines()[-1])
    θ' = θ - η * λ * θ - η / (1.0 - β₁ ** t) * m' / (sqrt(v') / sqrt(1.0 - β₂ ** t) + ε)
    """

    learning_rate: Hyper = 1e-3
    beta1: Fading = 0.9
    beta2: Fading = 0.999
    epsilon: Amount = 1e-8
    weight_decay: Amount = 1e-2
    amsgrad: Option = False
    epsilon_hat: Option = False
    corrected_maximum: Option = False
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {**Adam.variants["optax"], "weight_decay": 1e-4},
        "keras": {**Adam.variants["keras"], "weight_decay": 4e-3},
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """θ' = θ - η λ θ - η m̂ / (√v̂ + ε)"""
        found, step = adam_step(self, parameter, gradient)
        shrunk = parameter - self.learning_rate * self.weight_decay * parameter
        return {**found, parameter: shrunk - step}


class Nadam(Optimizer):
    r"""Adam with Nesterov's look-ahead in the mean gradient.

    Dozat 2016, Incorporating Nesterov momentum into Adam. The momentum of step t is β1 (1
    - 0.96^(t ψ) / 2), ψ being `momentum_decay`: 0.004 in PyTorch, 1 in Keras; None keeps
    it at β1, as in Optax. Π is the product of the momenta so far.

    >>> import exprgrad as eg
    >>> print(*str(eg.formula(Nadam())).splitlines()[2:5], sep="\n")
    t1 = β₁ * (1.0 - 0.5 * 0.96 ** (t * ψ))
    Π' = Π * t1
    t2 = β₁ * (1.0 - 0.5 * 0.96 ** ((t + 1.0) * ψ))
    """

    learning_rate: Hyper = 2e-3
    beta1: Fading = 0.9
    beta2: Fading = 0.999
    epsilon: Amount = 1e-8
    momentum_decay: Amount = 0.004
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {"learning_rate": 1e-3, "momentum_decay": None},
        "keras": {"learning_rate": 1e-3, "epsilon": 1e-7, "momentum_decay": 1.0},
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """m̂ = μ m' / (1 - Π μ) + (1 - μ₀) g / (1 - Π), μ that of the next step"""
        first = self.state("first", like=parameter)
        second = self.state("second", like=parameter)
        found = {
            first: self.blended("beta1", first, gradient),
            second: self.blended("beta2", second, gradient * gradient),
        }
        present, coming = self._momentum("t"), self._momentum("t + 1")
        product = self._product(found)
        ahead = self.rounded((1 - present) / (1 - product)) * gradient
        ahead = ahead + self.rounded(coming / (1 - product * coming)) * found[first]
        root = sqrt(found[second]) * self.rounded(1 / sqrt(correction(self, "beta2")))
        step = self.learning_rate * ahead / (root + self.epsilon)
        return {**found, parameter: parameter - step}

    def _momentum(self, when: str) -> Tensor:
        """The momentum of step `when`: "t" or "t + 1"."""
        if self.momentum_decay is None:
            return self.exact("beta1")
        t = self.exact("t") if when == "t" else self.exact("t") + 1
        fading = pow(fixed(0.96, dtypes.float64), t * self.exact("momentum_decay"))
        return self.exact("beta1") * (1 - 0.5 * fading)

    def _product(self, found: Updates) -> Tensor:
        """The product of all momenta up to this step."""
        if self.momentum_decay is None:
            return 1 - correction(self, "beta1")
        product = self.state("product", init=1.0, dtype=dtypes.float64)
        found[product] = product * self._momentum("t")
        return found[product]


class Adamax(Optimizer):
    """Adam by the largest gradient, which fades by β2, in place of the mean square.

    Kingma and Ba 2015, algorithm 2, which has no ε. PyTorch and Optax add it to each
    |g|, Keras to the largest.

    >>> import exprgrad as eg
    >>> print(eg.formula(Adamax()))
    m' = β₁ * m + (1.0 - β₁) * g
    u' = maximum(β₂ * u, abs(g) + ε)
    θ' = θ - η / (1.0 - β₁ ** t) * m' / u'
    """

    learning_rate: Hyper = 2e-3
    beta1: Fading = 0.9
    beta2: Fading = 0.999
    epsilon: Amount = 1e-8
    epsilon_inside: Option = True
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {"learning_rate": 1e-3},
        "keras": {"learning_rate": 1e-3, "epsilon": 1e-7, "epsilon_inside": False},
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """u' = max(β2 u, |g| + ε); θ' = θ - η m̂ / u'"""
        first = self.state("first", like=parameter)
        norm = self.state("norm", like=parameter)
        size = abs(gradient) + self.epsilon if self.epsilon_inside else abs(gradient)
        found = {
            first: self.blended("beta1", first, gradient),
            norm: maximum(self.beta2 * norm, size),
        }
        largest = found[norm] if self.epsilon_inside else found[norm] + self.epsilon
        rate = self.exact("learning_rate") / correction(self, "beta1")
        step = self.rounded(rate) * found[first] / largest
        return {**found, parameter: parameter - step}


def adam_step(
    rule: Adam | AdamW, parameter: Tensor, gradient: Tensor
) -> tuple[Updates, Tensor]:
    """The new means, and what is subtracted from `parameter`."""
    first = rule.state("first", like=parameter)
    second = rule.state("second", like=parameter)
    found = {
        first: rule.blended("beta1", first, gradient),
        second: rule.blended("beta2", second, gradient * gradient),
    }
    rate = rule.exact("learning_rate") / correction(rule, "beta1")
    corrected = correction(rule, "beta2")
    square, root = found[second], sqrt(corrected)
    if rule.amsgrad:
        if rule.corrected_maximum:
            square = square / rule.rounded(corrected)
        largest = rule.state("largest", like=parameter)
        square = found[largest] = maximum(largest, square)
    if rule.epsilon_hat:
        return found, rule.rounded(rate * root) * found[first] / (
            sqrt(square) + rule.epsilon
        )
    length = sqrt(square)
    if not (rule.amsgrad and rule.corrected_maximum):
        length = length * rule.rounded(1 / root)
    return found, rule.rounded(rate) * found[first] / (length + rule.epsilon)


def correction(rule: Optimizer, name: str) -> Tensor:
    """1 - βᵗ in float64, without cancellation where β is near 1."""
    return -expm1(rule.exact("t") * log(rule.exact(name)))
