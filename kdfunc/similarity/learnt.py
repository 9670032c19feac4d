"""Whether a classifier beats always predicting the largest class."""

from dataclasses import dataclass

import numpy as np

from kdfunc.similarity.shares import exact_interval

CONFIDENCE = 0.95

#: The verdict on every claim if the base model has learnt nothing.
NO_FUNCTION = "The base model has learnt nothing, so there is no function to preserve."


@dataclass(frozen=True)
class Learnt:
    """A classifier compared with always predicting the largest class.

    Attributes:
      accuracy: Of the classifier, in [0, 1].
      largest: Share of the largest class: the accuracy of always predicting it.
      low: Lower end of the 95 % interval of `accuracy - largest`.
      high: Upper end.
    """

    accuracy: float
    largest: float
    low: float
    high: float

    @property
    def anything(self) -> bool:
        """Whether the classifier is clearly better, by the interval."""
        return self.low > 0

    @property
    def warning(self) -> str:
        """What a person should know before anything else; empty if all is well."""
        if self.anything:
            return ""
        return (
            "The base model has learnt nothing: it classifies "
            f"{100 * self.accuracy:.1f} % of the test images correctly, which is not "
            f"clearly more than the {100 * self.largest:.1f} % of always predicting "
            "the largest class (95 % interval of the difference: "
            f"{100 * self.low:.1f} to {100 * self.high:.1f} points). So nothing can "
            "be said about how much of its function compression preserves."
        )


def learnt(softmax: np.ndarray, labels: np.ndarray) -> Learnt:
    """Compares a classifier with the one that always predicts the largest class.

    Both see the same examples, so only those matter that one gets right and the other
    wrong. Among these, the share that the classifier gets right has an exact interval,
    as in McNemar's exact test.

    Args:
      softmax: `[examples, classes]`.
      labels: `[examples]` true classes.
    """
    labels = np.asarray(labels)
    right = np.argmax(softmax, axis=1) == labels
    largest = labels == np.bincount(labels).argmax()
    won, lost = np.sum(right & ~largest), np.sum(~right & largest)
    apart = int(won + lost)
    low, high = (
        (2 * share - 1) * apart / len(labels)
        for share in exact_interval(int(won), apart, CONFIDENCE)
    )
    return Learnt(float(right.mean()), float(largest.mean()), low, high)
