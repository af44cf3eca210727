"""The command `demo`: what proxylm does, on records that come with it."""

from dataclasses import dataclass
from pathlib import Path

from sklearn.utils import Bunch

import proxylm
from proxylm._files import write_whole
from proxylm._nearest import nearest
from proxylm.cli._report import align, format_text
from proxylm.languages import language_name
from proxylm.records import write_records

N_FOLDS = 10
SEED = 42
LEVEL = 0.9
SHOWN = ("model", "rmse", "mae", "spearman", "pairwise_accuracy")
TABLE = "records.csv"


@dataclass(frozen=True)
class Demo:
    """What is asked for, as the command line says it."""

    language: str
    output: Path
    n_jobs: int


def _introduce(records: Bunch) -> str:
    frame = records.frame
    counts = {
        "languages": frame["target_lang"].nunique(),
        "scripts": frame["script_code"].nunique(),
        "families": frame["family"].nunique(),
    }
    told = ", ".join(f"{n} {name}" for name, n in counts.items())
    return (
        "How well will a language model do in a language that it was never tried on?\n"
        "\n"
        f"Known: SmolLM2-135M, fine-tuned on 4 or 16 articles of the Declaration of "
        f"Human Rights\nin one language at a time, {len(frame)} experiments, {told}.\n"
        "Predicted: the bits that it takes for an article that it has not read. Fewer "
        "are better.\nPredicted from: two tiny models, SmolLM2 before fine-tuning, "
        "statistics of the texts,\nand what is known of the languages."
    )


def _evaluate(records: Bunch, n_jobs: int) -> proxylm.Evaluation:
    """Predict every language by a regressor that has not seen it."""
    return proxylm.evaluate(
        proxylm.ProxyRegressor(),
        records,
        proxylm.LanguageKFold(n_splits=N_FOLDS),
        seeds=SEED,
        n_jobs=n_jobs,
        name="ProxyRegressor()",
        confidence_level=LEVEL,
    )


def _summarise(evaluation: proxylm.Evaluation, noise: float) -> str:
    summary = evaluation.summary()
    ours = summary[summary["model"] == evaluation.name].iloc[0]
    table = format_text(summary[list(SHOWN)], 1)
    return (
        f"Every language left out once, with others, in {N_FOLDS} groups:\n\n{table}\n"
        f"\nTwo measurements of the same differ by {noise:.1f} bits (standard "
        f"deviation).\nOf the left-out scores {ours['coverage']:.0%} are within their "
        f"{LEVEL:.0%} intervals."
    )


def _predict_language(records: Bunch, language: str) -> str:
    """Predict one language by all others; return it beside the truth."""
    new = (records.groups["target_lang"] == language).to_numpy()
    regressor = proxylm.ProxyRegressor(context=records.data, random_state=SEED)
    regressor.fit(records.data[~new], records.target[~new])
    predicted, interval = regressor.predict(
        records.data[new], return_interval=True, confidence_level=LEVEL
    )
    rows = [["articles", "seed", "predicted", f"{LEVEL:.0%} interval", "measured"]]
    known = records.frame.loc[new, ["dataset_size", "seed"]].to_numpy()
    truths = records.target[new]
    for (size, seed), value, (low, high), truth in zip(
        known, predicted, interval, truths, strict=True
    ):
        ends = f"{low:.0f} to {high:.0f}"
        rows.append([str(size), str(seed), f"{value:.0f}", ends, f"{truth:.0f}"])
    name = language_name(language)
    return f"{name} ({language}), by all other languages:\n\n{align(rows, range(5))}"


def _draw(evaluation: proxylm.Evaluation, output: Path) -> Path:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure = proxylm.PredictionDisplay.from_evaluation(evaluation).figure_
    path = output / "prediction.png"
    with write_whole(path) as temporary:
        figure.savefig(temporary, dpi=200)
    plt.close(figure)
    return path


def _write_table(records: Bunch, output: Path) -> Path:
    """Write what is predicted from and what is predicted, as a user's own table."""
    path = output / TABLE
    write_records(records.data.assign(**{records.target.name: records.target}), path)
    return path


def run_demo(asked: Demo) -> None:
    """Evaluate, draw, predict a language, and say what to try next."""
    records = proxylm.load_udhr_records()
    known = sorted(records.groups["target_lang"].unique())
    if asked.language not in known:
        raise ValueError(
            f"--for expects a language of the table: {', '.join(known)}. Got "
            f"{asked.language!r}.{nearest(asked.language, known)}"
        )
    print(_introduce(records), flush=True)
    evaluation = _evaluate(records, asked.n_jobs)
    print(f"\n{_summarise(evaluation, records.noise)}", flush=True)
    print(f"\n{_predict_language(records, asked.language)}\n", flush=True)
    print(f"Picture: {_draw(evaluation, asked.output)}")
    path = _write_table(records, asked.output)
    proxies = ",".join(records.schema.proxies)
    print(
        f"Table: {path}\n\nTry next, on a table like this one or on your own:\n"
        f"  proxylm predict {path} --target {records.schema.target} \\\n"
        f"    --proxies {proxies} \\\n"
        "    --target-language target_lang --for swh,amh\n"
        "or in Python: from proxylm import ProxyRegressor, load_udhr_records"
    )
