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
    erf_end: float  # from here erf is 1
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
# erf(x)/x - 1 in x**2, for |x| <= 1
# erfc(x) exp(x**2) in (x-2)/(x+2), for 1 <= x <= erf_end
FORMATS = {
    "float": Format(
        mantissa=23,
        one=0x3F800000,
        sqrt_half=0x3F3504F3,
        ln2=Split(0.693147182464599609375, -1.904654299957768e-09),
        exp_range=(-104.5, 89.0),
        saturated=20.0,
        erf_end=4.0,
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
        erf=(  # 2**-29.7
            0.128379165914,
            -0.376126271362,
            0.112836001779,
            -0.0268544446502,
            0.00518953543787,
            -0.000802084208407,
            7.88912206621e-05,
        ),
        erfc=(  # 2**-34.7 beside 1
            0.255395677913,
            -0.427185853493,
            0.241657270185,
            -0.0789869064595,
            0.00372973742178,
            0.00721254880432,
        ),
    ),
    "double": Format(
        mantissa=52,
        one=0x3FF0000000000000,
        sqrt_half=0x3FE6A09E667F3BCD,
        ln2=Split(0.6931471805599453, 2.3190468138462996e-17),
        exp_range=(-746.0, 710.0),
        saturated=40.0,
        erf_end=6.0,
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
        erf=(  # 2**-57.0
            0.12837916709551256,
            -0.3761263890318355,
            0.11283791670945252,
            -0.02686617064327602,
            0.005223977607422183,
            -0.0008548325989649077,
            0.0001205529531942221,
            -1.4924744648515851e-05,
            1.6447517555638454e-06,
            -1.620917537157393e-07,
            1.3722975394538398e-08,
            -7.801189594630272e-10,
        ),
        erfc=(  # 2**-62.9 beside 1
            0.25539567631050575,
            -0.42718584741395826,
            0.2416581942424582,
            -0.07897858101587535,
            0.0037328924051636602,
            0.006997461763515393,
            -0.0008471431958241443,
            -0.0009819781249306853,
            4.354936590974581e-05,
            0.00017436940458441026,
            2.7666193401911692e-05,
            -2.7312799985548314e-05,
            -1.4599499720946505e-05,
            -1.6213741914355942e-06,
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
