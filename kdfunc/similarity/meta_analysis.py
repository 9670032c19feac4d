"""One answer from several set-ups: a random-effects meta-analysis.

The true values of set-ups may differ, because their data sets, architectures and
protocols do; tau^2 is the variance of these differences. It is estimated as by Paule
and Mandel (1982), as the value at which the estimates vary as much as they should. (The
estimate of DerSimonian and Laird (1986) rests on the most precise set-ups, and is too
small if standard errors differ as much as here.) The interval of the mean is that of
Hartung and Knapp (2001), by Student's t, which is valid for few set-ups; with this
tau^2, their correction of the standard error is 1, or below 1 and left out so as not to
narrow the interval (Roever et al. 2015). The prediction interval,
which shows where another set-up of the kind would lie, is that of Higgins et al.
(2009), with Hartung and Knapp's standard error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

#: Fewest set-ups whose mean allows a conclusion.
FEWEST = 3


@dataclass(frozen=True)
class Pooled:
    """The mean over set-ups, and how much they differ.

    Attributes:
      setups: How many.
      value: Mean, in the unit of the estimates.
      error: Its standard error.
      low: Lower end of its 95 % interval.
      high: Upper end.
      predicted_low: Lower end of the 95 % prediction interval for another set-up;
        NaN for fewer than three.
      predicted_high: Upper end.
      tau2: Variance between set-ups.
      i2: Share of the variance of the estimates that is between set-ups, in percent,
        for a set-up with a typical standard error.
      q: Cochran's Q.
      p_alike: P value for all set-ups having the same true value.
    """

    setups: int
    value: float
    error: float
    low: float
    high: float
    predicted_low: float
    predicted_high: float
    tau2: float
    i2: float
    q: float
    p_alike: float

    def p_above(self, value: float) -> float:
        """Two-sided p value for the mean lying above a value.

        Args:
          value: In the unit of the estimates.
        """
        return self._p((self.value - value) / self.error)

    def p_below(self, value: float) -> float:
        """Two-sided p value for the mean lying below a value.

        Args:
          value: In the unit of the estimates.
        """
        return self._p((value - self.value) / self.error)

    def _p(self, t: float) -> float:
        return min(1.0, 2 * float(stats.t.sf(t, self.setups - 1)))


def pool(estimates: Sequence[float], errors: Sequence[float]) -> Pooled:
    """Combines the estimates of two set-ups or more.

    Args:
      estimates: `[set-ups]`, on a scale where they are about normally distributed, such
        as the logarithm of a ratio.
      errors: `[set-ups]`, their standard errors, above 0.
    """
    values, variances = np.asarray(estimates, float), np.square(errors, dtype=float)
    count = len(values)

    def squares(tau2: float) -> float:
        """The weighted sum of squared differences from the weighted mean."""
        weights = 1 / (variances + tau2)
        mean = np.average(values, weights=weights)
        return float(weights @ np.square(values - mean))

    q, tau2 = squares(0), 0.0
    if q > count - 1:
        most = 2 * float(np.var(values, ddof=1))  # half of it if there were no errors
        tau2 = optimize.brentq(lambda tau2: squares(tau2) - (count - 1), 0, most)
    fixed = 1 / variances
    spread = fixed.sum() ** 2 - np.square(fixed).sum()
    typical = float((count - 1) * fixed.sum() / spread)  # Higgins and Thompson 2002
    weights = 1 / (variances + tau2)
    mean = float(np.average(values, weights=weights))
    error = 1 / math.sqrt(weights.sum())  # Hartung and Knapp's factor is 1 with tau2
    reach = float(stats.t.ppf(0.975, count - 1)) * error
    predicted = math.nan
    if count > 2:
        apart = math.hypot(error, math.sqrt(tau2))
        predicted = float(stats.t.ppf(0.975, count - 2)) * apart
    return Pooled(
        count,
        mean,
        error,
        mean - reach,
        mean + reach,
        mean - predicted,
        mean + predicted,
        tau2,
        100 * tau2 / (tau2 + typical),
        q,
        float(stats.chi2.sf(q, count - 1)),
    )
