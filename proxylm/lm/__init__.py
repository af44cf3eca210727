"""Language models as proxies: the scores that small ones give to texts."""

from ._scorer import ProxyScorer

__all__ = ["ProxyScorer"]
