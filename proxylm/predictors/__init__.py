"""Predictors that are fitted already."""

from ._load import list_predictors, load_predictor

__all__ = ["list_predictors", "load_predictor"]
