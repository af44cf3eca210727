"""Pictures of evaluations and predictions, as scikit-learn displays."""

from proxylm.inspection._contribution import ContributionDisplay
from proxylm.inspection._cost_accuracy import CostAccuracyDisplay
from proxylm.inspection._coverage import CoverageDisplay
from proxylm.inspection._language_error import LanguageErrorDisplay
from proxylm.inspection._language_pair import LanguagePairDisplay
from proxylm.inspection._learning_curve import LearningCurveDisplay
from proxylm.inspection._prediction import PredictionDisplay

__all__ = [
    "ContributionDisplay",
    "CostAccuracyDisplay",
    "CoverageDisplay",
    "LanguageErrorDisplay",
    "LanguagePairDisplay",
    "LearningCurveDisplay",
    "PredictionDisplay",
]
