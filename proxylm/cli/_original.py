"""The original's configurations: its YAML keys and its JSON files of regressors.

They are those of https://github.com/davidanugraha/proxylm, translated into the keys of
:mod:`proxylm.cli._config`.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from proxylm.cli._files import read_json
from proxylm.cli._space import parse_space
from proxylm.cli._values import (
    as_list,
    check_keys,
    check_number,
    check_text,
    look_up,
    resolve_path,
)

logger = logging.getLogger(__name__)

SEEDS = [42, 43, 44, 45, 46]
KEYS = (
    "exp_mode",
    "regressor",
    "regressor_config",
    "score",
    "dataset_name",
    "model",
    "lang",
)
REQUIRED = ("exp_mode", "regressor", "dataset_name", "model")

# Mode -> the protocols that it ran.
CLASSIFICATION_MODES = {"random": ("random",), "lolo": ("lolo",)}
TRANSLATION_MODES = CLASSIFICATION_MODES | {
    "unseen": ("unseen", "unseen_reverse"),
    "seen_unseen": ("unseen", "unseen_reverse"),
    "cross_dataset": ("cross_dataset",),
    "incremental": ("incremental",),
}
MODES = {
    "mt560": TRANSLATION_MODES,
    "nusa": TRANSLATION_MODES,
    "intent": CLASSIFICATION_MODES,
    "slot": CLASSIFICATION_MODES,
}
# Protocols whose records are not those of `dataset_name` alone.
JOINED = {"cross_dataset": ["mt560", "nusa"]}
SEARCH_MODES = {"bayes_search": "bayes", "grid_search": "grid"}
# Parameters of mf with the original's defaults, and what they are here.
FACTORIZATION_DEFAULTS = {
    "beta_w": 0.1,
    "beta_h": 0.1,
    "beta_s": 0.01,
    "beta_t": 0.01,
    "beta_z": 0.01,
    "iterations": 2000,
}
FACTORIZATION_PARAMETERS = {
    "beta_w": "alpha_factor",
    "beta_s": "alpha_bias",
    "beta_z": "alpha_coef",
    "iterations": "max_iter",
}
# Sources and targets have one penalty here.
EQUAL_PARAMETERS = {"beta_w": "beta_h", "beta_s": "beta_t"}
# The learning rate and its decay.
GRADIENT_DESCENT = ("alpha", "lr_decay")
FACTORIZATION = {"solver": "als", "n_components": 20, "alpha_per": "record"}
POLY_PARAMETERS = {"poly_degree": "degree", "alpha": "alpha", "l1_ratio": "l1_ratio"}


def _boosted(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Translate the JSON of xgb and lgbm."""
    keys = ("hpm_search_mode", "cv", "n_iter", "param_space", "fixed_param")
    check_keys(values, keys, where)
    mode = values.get("hpm_search_mode")
    search = look_up(SEARCH_MODES, mode, f"{where}: hpm_search_mode")
    space = values.get("param_space") or {}
    parse_space(space, search, f"{where}: param_space")
    options = {key: values[key] for key in ("cv", "n_iter") if key in values}
    if space:
        options |= {"search": search, "param_space": space}
    return options | {"params": values.get("fixed_param") or {}}


def _poly(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Translate the JSON of poly; what is not "basic" searches a grid."""
    check_keys(values, ("cv", "pipeline_type", "degree", "param_space"), where)
    options = {"cv": values["cv"]} if "cv" in values else {}
    space = values.get("param_space") or {}
    if values.get("pipeline_type", "basic") == "basic":
        if space:
            logger.warning(
                '%s: pipeline_type "basic" does not search, param_space is left out.',
                where,
            )
        return options | {"params": {"degree": values.get("degree", 1)}}
    check_keys(space, POLY_PARAMETERS, f"{where}: param_space")
    parse_space(space, "grid", f"{where}: param_space")
    renamed = {POLY_PARAMETERS[name]: given for name, given in space.items()}
    return options | {"search": "grid", "param_space": renamed}


def _factorization(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Translate the JSON of mf: the same penalties, minimised by least squares."""
    check_keys(values, ("cv", "param_space", "fixed_param"), where)
    known = (*FACTORIZATION_DEFAULTS, *GRADIENT_DESCENT)
    fixed = values.get("fixed_param") or {}
    check_keys(fixed, known, f"{where}: fixed_param")
    space = values.get("param_space") or {}
    check_keys(space, known, f"{where}: param_space")
    space = parse_space(space, "grid", f"{where}: param_space")
    given = FACTORIZATION_DEFAULTS | fixed | space
    for key, other in EQUAL_PARAMETERS.items():
        if as_list(given[key]) != as_list(given[other]):
            raise ValueError(
                f"{where} expects {key} and {other} to be equal, as sources and "
                f"targets have one penalty here. Got {given[key]} and {given[other]} "
                "(one that is left out has the original's default)."
            )
    candidates = {}
    for key, parameter in FACTORIZATION_PARAMETERS.items():
        candidates[parameter] = as_list(given[key])
        for number in candidates[parameter]:
            check_number(number, f"{where}: {key}", integer=key == "iterations")
            if number < 0 or (number == 0 and key in ("beta_w", "iterations")):
                raise ValueError(
                    f"{where}: {key} expects a positive number. Got {number}."
                )
    left_out = [key for key in GRADIENT_DESCENT if key in given]
    if left_out:
        logger.warning(
            "%s: mf is solved in closed form, which has no learning rate: %s left out. "
            "The penalties are kept.",
            where,
            ", ".join(left_out) + (" is" if len(left_out) == 1 else " are"),
        )
    lists = {name: numbers for name, numbers in candidates.items() if len(numbers) > 1}
    single = {name: numbers[0] for name, numbers in candidates.items()}
    options = {"cv": values["cv"]} if "cv" in values else {}
    if lists:
        options |= {"search": "grid", "param_space": lists}
    kept = {name: number for name, number in single.items() if name not in lists}
    return options | {"params": FACTORIZATION | kept}


REGRESSORS: dict[str, Callable] = {
    "xgb": _boosted,
    "lgbm": _boosted,
    "poly": _poly,
    "mf": _factorization,
}


def _translate_regressor(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    name = values["regressor"]
    translate = look_up(REGRESSORS, name, "regressor")
    # The original clips no prediction.
    section = {"name": name, "score_range": None}
    if values.get("regressor_config") is None:
        return section
    path = resolve_path(values["regressor_config"], folder, "regressor_config")
    return section | translate(read_json(path), str(path))


def translate(values: Any, folder: Path) -> list[dict[str, Any]]:
    """Return our configurations of what a configuration of the original runs.

    Paths are relative to `folder`, then to the working directory. The mode "unseen"
    ran both directions, so it makes two configurations.
    """
    check_keys(values, KEYS, "A configuration for --config")
    missing = [key for key in REQUIRED if values.get(key) is None]
    if missing:
        raise ValueError(
            f"A configuration for --config expects the keys {', '.join(REQUIRED)}. "
            f"Got no {', '.join(missing)}."
        )
    dataset = values["dataset_name"]
    modes = look_up(MODES, dataset, "dataset_name")
    protocols = look_up(modes, values["exp_mode"], f"exp_mode of {dataset}")
    regressor = _translate_regressor(values, folder)
    language = check_text(values.get("lang", "all"), "lang")
    if language != "all" and protocols != ("lolo",):
        logger.warning("lang is only for the mode lolo. %r is left out.", language)
    return [
        {
            "records": {
                "dataset": JOINED.get(protocol, [dataset]),
                "target": values["model"],
                "score": values.get("score"),
            },
            "protocol": {"name": protocol}
            | ({"languages": language} if protocol == "lolo" else {}),
            "regressor": regressor,
            "seeds": SEEDS,
        }
        for protocol in protocols
    ]
