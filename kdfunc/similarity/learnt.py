"""Whether a classifier has learnt anything: more than to answer the largest class."""

from dataclasses import dataclass

import numpy as np

from kdfunc.similarity.shares import exact_interval

CONFIDENCE = 0.95

#: What a claim comes to where the base model has learnt nothing.
NO_FUNCTION = "The base model has learnt nothing, so there is no function to preserve."


@dataclass(frozen=True)
class Learnt:
    """A classifier beside one that always answers the largest class.

    Attributes:
      accuracy: Of the classifier, a share of the examples.
      largest: Share of the largest class, the accuracy of always answering it.
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
            f"The base model has learnt nothing: it answers {100 * self.accuracy:.1f} "
            "% of the test images correctly, which is not clearly more than the "
            f"{100 * self.largest:.1f} % that one gets by always answering the largest "
            f"class (95 % interval of the difference: {100 * self.low:.1f} to "
            f"{100 * self.high:.1f} points). So nothing can be said about what "
            "compression preserves of it."
        )


def learnt(softmax: np.ndarray, labels: np.ndarray) -> Learnt:
    """Compares a classifier with the one that always answers the largest class.

    Both answer the same examples, so only those that one of them has right and the
    other wrong tell them apart. Among these, the share that the classifier has right
    gets its exact interval, as in McNemar's exact test.

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
