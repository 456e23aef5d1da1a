"""The restricted Boltzmann machine: an energy, and a model learned by sampling it.

E(v, h) = e(v) - cᵀh - vᵀWh with e(v) = -bᵀv for binary visible units (Smolensky 1986)
and ½‖v - b‖² for Gaussian ones of variance 1 (Welling et al. 2005; divide each column
of the data by its standard deviation). The hidden units are binary and are summed out
in the free energy F, so that p(v) = exp(-F(v)) / Z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from exprgrad.errors import GraphError
from exprgrad.graph import random
from exprgrad.graph.creation import arange
from exprgrad.graph.elementwise import astype, equal, floor, sigmoid, softplus, where
from exprgrad.graph.movement import expand_dims
from exprgrad.graph.reduction import matmul, mean, sum
from exprgrad.graph.special import stop_gradient
from exprgrad.graph.tensor import Operand, Tensor
from exprgrad.nn.coder import OUTPUTS, Output, Pair, Unary, half_squares, row_of


@dataclass(frozen=True)
class Units:
    """A kind of visible units: e(v), and how they are drawn about their mean."""

    outputs: Output
    energy: Callable[[Tensor, Tensor], Tensor]  # v, b -> e(v), [batch]
    draw: Unary  # E[v | h] -> v


UNITS = {
    "binary": Units(
        OUTPUTS["sigmoid"],
        lambda v, b: -matmul(v, b),
        lambda p: random.bernoulli(p, p.shape, p.dtype),
    ),
    "gaussian": Units(
        OUTPUTS["linear"],
        lambda v, b: half_squares(v - b),
        lambda mu: mu + random.normal(mu.shape, dtype=mu.dtype),
    ),
}


class Chain(NamedTuple):
    """The end of Gibbs chains, `[batch, visible]`: a sample, and what it varies about."""

    sample: Tensor
    mean: Tensor


@dataclass(frozen=True, eq=False)
class RBM(Pair):
    """A machine of `weight[visible, hidden]`, `visible_bias` b and `hidden_bias` c.

    `visible` names the units: "binary", whose rows may be probabilities too, or
    "gaussian". First values: Hinton 2010, A practical guide to training restricted
    Boltzmann machines, section 8: weights of `init.normal(0, 0.01)`, b of
    `init.log_odds(rows)`, c of 0. Weight decay and `sparsity` are terms of the loss,
    momentum is the optimizer's.

    Raises `ShapeError` for biases that do not fit, `GraphError` for other units.

    >>> import exprgrad as eg
    >>> W = eg.parameter("W", (64, 100), init=eg.init.normal(0, 0.01))
    >>> rbm = RBM(W, eg.parameter("b", (64,)), eg.parameter("c", (100,)))
    >>> v = eg.input("v", ("batch", 64))
    >>> error = {"error": rbm.reconstruction_error(v)}
    >>> trainer = eg.Trainer(rbm.objective(v, k=1), eg.optim.Momentum(0.1), error)
    >>> rbm.encode(v).shape
    (batch, 100)
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    visible: str = "binary"

    def __post_init__(self) -> None:
        self._require_shapes()
        row_of(UNITS, "the kind of visible units", self.visible)

    @property
    def outputs(self) -> Output:
        """Of binary units a sigmoid, of Gaussian ones their input."""
        return UNITS[self.visible].outputs

    def encode(self, x: Operand) -> Tensor:
        """P(h = 1 | v) = sigmoid(c + vW), `[batch, hidden]`: the features of v."""
        return sigmoid(self._code_input(x))

    def free_energy(self, v: Operand) -> Tensor:
        """F(v) = e(v) - Σⱼ softplus(cⱼ + (vW)ⱼ), `[batch]`; log p(v) = -F(v) - log Z.

        >>> import exprgrad as eg
        >>> W, b, c = (eg.parameter(*p) for p in (("W", (2, 3)), ("b", 2), ("c", 3)))
        >>> RBM(W, b, c).free_energy(eg.input("v", ("batch", 2)))
        -(v @ b) - sum(softplus(v @ W + c), axis=1)
        """
        hidden = sum(softplus(self._code_input(v)), -1)
        return UNITS[self.visible].energy(self.rows(v), self.visible_bias) - hidden

    def gibbs(self, v: Operand, k: int = 1) -> Chain:
        """`k` steps of Gibbs sampling from v: h of P(h | v), then v of P(v | h).

        The steps are written out one after another, and share their machine code; for
        thousands of steps update a state, as below. Raises `GraphError` unless k is an
        integer from 1.

        >>> import exprgrad as eg
        >>> W, b, c = (eg.parameter(*p) for p in (("W", (2, 3)), ("b", 2), ("c", 3)))
        >>> chains = eg.state("chains", (5, 2))
        >>> sample, mean = RBM(W, b, c).gibbs(chains, k=10)
        >>> draw = eg.function([], mean, {chains: sample})  # each call goes on
        >>> draw()[0]
        array([0.5, 0.5], dtype=float32)
        """
        if not isinstance(k, int) or k < 1:
            raise GraphError(
                f"k, the number of Gibbs steps, is an integer from 1: {k!r}"
            )
        chain = self._gibbs_step(self.rows(v))
        for _ in range(k - 1):
            chain = self._gibbs_step(chain.sample)
        return chain

    def _gibbs_step(self, v: Tensor) -> Chain:
        p = self.encode(v)
        mean = self.decode(random.bernoulli(p, p.shape, p.dtype))
        return Chain(UNITS[self.visible].draw(mean), mean)

    def objective(self, v: Operand, k: int = 1, last: str = "sample") -> Tensor:
        """Contrastive divergence: mean F(v) - mean F(vₖ), vₖ after k Gibbs steps from v.

        vₖ counts as a constant, so that the gradient by W is ⟨v h⟩ₖ - ⟨v h⟩₀ with
        h = P(h | v). With `last` "mean" vₖ is what the last sample would vary about,
        which has less noise (Hinton 2010, section 3.2). The value is no likelihood:
        watch `reconstruction_error`. Raises `GraphError` for another k or `last`.

        Hinton 2002, Training products of experts by minimizing contrastive divergence.
        """
        ends = self.gibbs(v, k)._asdict()
        return self._gap(v, row_of(ends, "what stands last in the chain", last))

    def persistent_objective(
        self, v: Operand, chains: Tensor, k: int = 1
    ) -> tuple[Tensor, dict[Tensor, Tensor]]:
        """Persistent CD: mean F(v) - mean F(chains after k steps), and their update.

        `chains[count, visible]` is a state, which each step moves on: give the updates
        to the trainer, which refuses a loss of chains that stand still. A small learning
        rate lets the chains keep up with the model.
        Raises `GraphError` for chains that are no state.

        Tieleman 2008, Training restricted Boltzmann machines using approximations to
        the likelihood gradient; Younes 1989.

        >>> import exprgrad as eg
        >>> W, b, c = (eg.parameter(*p) for p in (("W", (2, 3)), ("b", 2), ("c", 3)))
        >>> v, chains = eg.input("v", ("batch", 2)), eg.state("chains", (100, 2))
        >>> loss, updates = RBM(W, b, c).persistent_objective(v, chains)
        >>> trainer = eg.Trainer(loss, eg.optim.SGD(0.01), updates=updates)
        """
        if not isinstance(chains, Tensor) or chains.op != "state":
            given = chains if isinstance(chains, Tensor) else type(chains).__name__
            raise GraphError(
                f"chains live in a state, such as eg.state('chains', (100, "
                f"{self.weight.shape[0]})), not in {given}"
            )
        chains.cell.moved_by = "persistent_objective"
        moved = self.gibbs(chains, k).sample
        return self._gap(v, moved), {chains: moved}

    def _gap(self, data: Operand, model: Tensor) -> Tensor:
        negative = mean(self.free_energy(stop_gradient(model)))
        return mean(self.free_energy(data)) - negative

    def pseudo_likelihood(self, v: Operand) -> Tensor:
        """n log sigmoid(F(ṽ) - F(v)), ṽ being v with one of its n units flipped.

        `[batch]`; the unit is drawn for each row, so that the mean over draws is the log
        pseudo-likelihood Σᵢ log p(vᵢ | the others) of binary rows: Besag 1975,
        Statistical analysis of non-lattice data. Raises `GraphError` for other units.
        """
        if self.visible != "binary":
            raise GraphError(
                f"only binary units can be flipped, not {self.visible} ones"
            )
        rows, n = self.rows(v), self.weight.shape[0]
        chosen = astype(floor(random.uniform(rows.shape[:1], 0, n)), "int64")
        flipped = equal(expand_dims(chosen, 1), arange(n))
        other = self.free_energy(where(flipped, 1 - rows, rows))
        return -n * softplus(self.free_energy(rows) - other)
