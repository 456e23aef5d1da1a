"""What the formulas of `vecmath` need to know of float and double: limits, coefficients.

The coefficients are minimax polynomials (Remez exchange in 40 digits), lowest power
first. The comment gives the largest error of each before its rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Coefficients = tuple[float, ...]


class Split(NamedTuple):
    """A constant in pieces of decreasing size, whose sum is exact to their precision."""

    high: float
    low: float
    lowest: float = 0.0


@dataclass(frozen=True, slots=True)
class Format:
    """A floating-point format and the polynomials that are enough for it."""

    mantissa: int  # bits stored
    one: int  # the bits of 1.0
    sqrt_half: int  # the bits of sqrt(0.5)
    ln2: Split
    exp_range: tuple[float, float]  # below: 0, above: infinity
    saturated: float  # exp(-saturated) is nothing beside 1
    erf_seam: float  # |x| from which on erf is 1 - erfc
    erf_end: float  # from here erf is 1
    erf_middle: float  # in `erf` is x**2 less this
    erfc_middle: float  # in `erfc` is |x| less this
    erfc_squarings: int  # `erfc` so many times squared is the function
    exp: Coefficients
    expm1: Coefficients
    log: Coefficients
    sin: Coefficients
    cos: Coefficients
    erf: Coefficients
    erfc: Coefficients

    @property
    def magic(self) -> float:
        """Adding it rounds to an integer, which is then seen in the lowest bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def magic_bits(self) -> int:
        """The bits of `magic`."""
        return self.one + (self.mantissa << self.mantissa) + (1 << (self.mantissa - 1))

    @property
    def epsilon(self) -> float:
        """A term this much smaller than another is lost in their sum."""
        return 2.0 ** -(self.mantissa + 2)

    @property
    def largest_exponent(self) -> int:
        """2 to it and 1 / 2 to one less are the extremes of full precision."""
        return (self.one >> self.mantissa) - 1

    @property
    def smallest_normal(self) -> float:
        """The smallest number of full precision."""
        return 2.0**-self.largest_exponent


# (exp(r) - 1 - r) / r**2 for |r| <= log(2)/2
# (log((1+s)/(1-s)) - 2s) / s**3 in s**2, for (1+s)/(1-s) within sqrt(2) of 1
# (sin(r) - r) / r**3 and (cos(r) - 1 + r**2/2) / r**4 in r**2, for |r| <= pi/4
# erf(x)/x - 1 in x**2 - erf_middle, for |x| <= erf_seam
# erfc(x)**(1/n), n = 2**erfc_squarings, in x - erfc_middle, for erf_seam <= x <= erf_end
FORMATS = {
    "float": Format(
        mantissa=23,
        one=0x3F800000,
        sqrt_half=0x3F3504F3,
        ln2=Split(0.693147182464599609375, -1.904654299957768e-09),
        exp_range=(-104.5, 89.0),
        saturated=20.0,
        erf_seam=1.25,
        erf_end=3.9375,
        erf_middle=0.875,
        erfc_middle=2.5,
        erfc_squarings=2,
        exp=(  # 2**-28.3 of the result
            0.499999934374,
            0.166665204779,
            0.0416683898523,
            0.00836873555156,
            0.00138145603216,
        ),
        expm1=(  # 2**-31.8
            0.500000004224,
            0.166666668116,
            0.0416663662045,
            0.00833327414078,
            0.00139403118462,
            0.000199136430475,
        ),
        log=(0.666667696108, 0.399782028477, 0.298567039805),  # 2**-30.1
        sin=(-0.166666551652, 0.00833218711021, -0.000195181249143),  # 2**-28.0
        cos=(0.0416666476984, -0.00138874004004, 2.44415935282e-05),  # 2**-32.7
        erf=(  # 2**-29.9
            -0.129665618271,
            -0.228546258236,
            0.0615029947437,
            -0.0137764262683,
            0.00257656092437,
            -0.000410037528052,
            5.7554360243e-05,
            -7.57297006276e-06,
        ),
        erfc=(  # 2**-28.4 beside 1
            0.142032110037,
            -0.190062110665,
            0.093646091678,
            -0.0122827116134,
            -0.00648909146121,
            0.00269611781302,
            4.23113378703e-05,
            -0.000195097051435,
        ),
    ),
    "double": Format(
        mantissa=52,
        one=0x3FF0000000000000,
        sqrt_half=0x3FE6A09E667F3BCD,
        ln2=Split(0.6931471805599453, 2.3190468138462996e-17),
        exp_range=(-746.0, 710.0),
        saturated=40.0,
        erf_seam=1.328125,
        erf_end=5.9375,
        erf_middle=1.25,
        erfc_middle=1.375,
        erfc_squarings=3,
        exp=(  # 2**-61.6
            0.5,
            0.16666666666666677,
            0.0416666666666667,
            0.008333333333322162,
            0.001388888888886782,
            0.00019841269884920385,
            2.480158735900788e-05,
            2.7557245320164843e-06,
            2.7557243863179343e-07,
            2.510867829698963e-08,
            2.0924150829605717e-09,
        ),
        expm1=(  # 2**-61.6
            0.5,
            0.16666666666666677,
            0.0416666666666667,
            0.008333333333322162,
            0.001388888888886782,
            0.00019841269884920385,
            2.480158735900788e-05,
            2.7557245320164843e-06,
            2.7557243863179343e-07,
            2.510867829698963e-08,
            2.0924150829605717e-09,
        ),
        log=(  # 2**-59.3
            0.6666666666666712,
            0.399999999995408,
            0.2857142871800423,
            0.2222220081819489,
            0.18183457499344458,
            0.15316588372910803,
            0.14772127595102394,
        ),
        sin=(  # 2**-57.9
            -0.16666666666666635,
            0.008333333333323012,
            -0.00019841269830180627,
            2.7557313796961257e-06,
            -2.5050771827135955e-08,
            1.5897469736893094e-10,
        ),
        cos=(  # 2**-63.0
            0.041666666666666644,
            -0.0013888888888881031,
            2.4801587293338122e-05,
            -2.755731536384942e-07,
            2.08758495964241e-09,
            -1.1365711805318732e-11,
        ),
        erf=(  # 2**-62.8
            -0.2074000335319186,
            -0.18772556896724443,
            0.04797813257035259,
            -0.01043301877690359,
            0.0019150124096664824,
            -0.0003011887881284554,
            4.1268420151808234e-05,
            -4.998918130066767e-06,
            5.419858106498791e-07,
            -5.314453096944008e-08,
            4.754151424139164e-09,
            -3.909381779792421e-10,
            2.982790938461925e-11,
            -1.9781515832580758e-12,
            1.9697541793200356e-13,
        ),
        erfc=(  # 2**-58.2 beside 1
            0.6907526741057368,
            -0.28380434710034874,
            -0.017884961456548398,
            0.020810946310858464,
            0.00021216136179372642,
            -0.0012140320227082611,
            8.973960963915814e-05,
            3.641815615251648e-05,
            -5.2615979551345775e-06,
            -3.0650710374650256e-07,
            -5.075782812591814e-09,
            3.774476211898606e-08,
            -5.338417329623587e-09,
            -3.314876055418368e-10,
            1.6165406002743411e-10,
            -1.747962319812242e-11,
            7.07233251905081e-13,
        ),
    ),
}

LOG2_E = 1.4426950408889634
TWO_OVER_PI = 0.6366197723675814
# pi/2 in doubles: 159 bits together
HALF_PI = Split(1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
# log2((1+s)/(1-s)) / s in s**2, 2**-52.4; and 2**t for |t| <= 1/2, 2**-40.2
LOG2 = (
    2.885390081777927,
    0.9617966939243237,
    0.5770780172507188,
    0.4121984014037068,
    0.3206164308928159,
    0.2614429422447965,
    0.2429310653381023,
)
EXP2 = (
    0.9999999999997623,
    0.6931471805465139,
    0.24022650698880438,
    0.0555041093934239,
    0.009618128542854635,
    0.0013333452061665579,
    0.00015403851751173402,
    1.5309737563424126e-05,
    1.3175857982689082e-06,
)
