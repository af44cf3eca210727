"""One run: from its configuration to a results folder and what is printed."""

import proxylm
from proxylm.cli._config import RunConfig
from proxylm.cli._folder import ResultsFolder
from proxylm.cli._report import Report


def run_experiment(config: RunConfig, *, overwrite: bool, quiet: bool) -> None:
    """Load records, train and test, print the report, write the results folder."""
    folder = ResultsFolder(config.output)
    folder.check(config, overwrite=overwrite)
    estimator = config.regressor.build()
    records = config.records.load()
    splitter, sizes = config.protocol.build(records)
    folder.open(config, overwrite=overwrite)
    try:
        evaluation = proxylm.evaluate(
            estimator,
            records,
            splitter,
            seeds=config.seeds,
            train_sizes=config.train_sizes or sizes,
            baselines=config.baselines,
            n_jobs=config.n_jobs,
            checkpoint=folder.checkpoint,
            progress=not quiet,
            name=config.regressor.label,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted. Finished fits are kept in {folder.checkpoint}. Run the same "
            "command again to go on."
        ) from None
    report = Report(config, evaluation)
    # Before files are written: a full disk takes no result away from the screen.
    print(report.to_text(languages=not quiet))
    figures = folder.write(report)
    print("\nFigures, as PNG and as SVG:")
    for path in figures:
        print(f"  {path}")
    print(f"All results are in {folder.path}")
