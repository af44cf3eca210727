"""Language models as proxies: the scores that small ones give, and what they cost."""

from ._cost import ComputeCost
from ._scorer import ProxyScorer

__all__ = ["ComputeCost", "ProxyScorer"]
