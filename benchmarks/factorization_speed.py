"""Time the factor model beside gradient descent in Python, cmfrec and myfm.

Four studies, each in one run: a training set of NUSA, where the records are at hand,
and a generated table of its size, both beside 2,000 epochs of stochastic gradient
descent row by row; tables of 1e4 to 1e6 scores, for the slope of log time on log n; and
1e6 scores of 20,000 x 5,000 ids, drawn uniformly and by a power law, beside the peers.
Every large fit runs in a process of its own, which reports its
peak memory. All other scores are drawn from a factor model with known noise; errors
are against the noiseless scores of held-out rows.

    python benchmarks/factorization_speed.py [--quick] [--n-jobs 2]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

RANK = 20
NOISE = 1.0
BIAS_VARIANCE = 1.0
# Two factors of this variance make interactions with a variance of 4.
FACTOR_VARIANCE = 2 / np.sqrt(RANK)
# Point estimates of factors do best with somewhat more than the ratio of variances;
# ours and cmfrec have the same objective and get the same penalties.
SHRINKAGE = 1.75
ALPHAS = {
    "alpha_bias": NOISE**2 / BIAS_VARIANCE,
    "alpha_factor": SHRINKAGE * NOISE**2 / FACTOR_VARIANCE,
    "alpha_coef": NOISE**2,
}
ALS_TOL = 5e-4
ROWS_OF_AN_ID = (50, 200)  # on average; 1e6 rows have 20,000 x 5,000 ids
CMFREC_ITERATIONS = (5, 10, 15, 20, 30)
MYFM_ITERATIONS = 100
SGD_EPOCHS = 2_000


def planted(n_rows, n_ids, n_features, law="uniform", rank=RANK, seed=0):
    """Draw ids, features, noiseless scores and scores of a factor model."""
    rng = np.random.default_rng(seed)
    ids = np.empty((n_rows, len(n_ids)), dtype=np.intp)
    scores = np.full(n_rows, 30.0)
    factors = []
    for k, size in enumerate(n_ids):
        chances = np.ones(size) if law == "uniform" else 1 / (np.arange(size) + 10.0)
        ids[:, k] = rng.choice(size, n_rows, p=chances / chances.sum())
        scores += np.sqrt(BIAS_VARIANCE) * rng.standard_normal(size)[ids[:, k]]
        factors.append(np.sqrt(FACTOR_VARIANCE) * rng.standard_normal((size, rank)))
    for start in range(0, n_rows, 10_000):
        rows = slice(start, start + 10_000)
        left, right = (v[ids[rows, k]] for k, v in enumerate(factors))
        scores[rows] += np.einsum("ij,ij->i", left, right)
    Z = rng.standard_normal((n_rows, n_features))
    scores += Z @ rng.standard_normal(n_features)
    return ids, Z, scores, scores + NOISE * rng.standard_normal(n_rows)


def fit_sgd(ids, Z, y, n_epochs, rank=RANK, rate=0.01, decay=0.002, alpha=0.02):
    """Fit mu + b_s + b_t + w_s . h_t + c . z by a gradient step per row and epoch."""
    rng = np.random.default_rng(0)
    mean = y.mean()
    source_bias, target_bias = (np.zeros(size) for size in ids.max(axis=0) + 1)
    W = 0.1 * rng.standard_normal((len(source_bias), rank))
    H = 0.1 * rng.standard_normal((len(target_bias), rank))
    coef = np.zeros(Z.shape[1])
    for epoch in range(n_epochs):
        step = rate / (1 + decay * epoch)
        for r in rng.permutation(len(y)):
            s, t = ids[r]
            w, h, z = W[s].copy(), H[t], Z[r]
            fitted = mean + source_bias[s] + target_bias[t] + w @ h + coef @ z
            error = y[r] - fitted
            source_bias[s] += step * (error - alpha * source_bias[s])
            target_bias[t] += step * (error - alpha * target_bias[t])
            W[s] += step * (error * h - alpha * w)
            H[t] += step * (error * w - alpha * h)
            coef += step * (error * z - alpha * coef)
    fitted = mean + source_bias[ids[:, 0]] + target_bias[ids[:, 1]] + Z @ coef
    return fitted + np.einsum("ij,ij->i", W[ids[:, 0]], H[ids[:, 1]])


def fit_als_on(ids, Z, y, n_ids, n_jobs):
    """Fit ours; return the prediction function, the seconds and the sweeps."""
    from proxylm.regression._als import fit_als

    start = time.perf_counter()
    model, objectives = fit_als(
        ids,
        Z,
        y,
        n_components=RANK,
        max_iter=100,
        tol=ALS_TOL,
        random_state=0,
        n_ids=n_ids,
        n_jobs=n_jobs,
        **ALPHAS,
    )
    seconds = time.perf_counter() - start
    return model.predict, seconds, len(objectives) - 1


def fit_cmfrec(ids, y, n_iterations, n_jobs):
    """Fit cmfrec's explicit feedback, with our penalties and exact solutions."""
    import pandas as pd
    from cmfrec import CMF

    frame = pd.DataFrame({"UserId": ids[:, 0], "ItemId": ids[:, 1], "Rating": y})
    bias, factor = ALPHAS["alpha_bias"], ALPHAS["alpha_factor"]
    model = CMF(
        k=RANK,
        lambda_=np.array([bias, bias, factor, factor, factor, factor]),
        niter=n_iterations,
        use_cg=False,
        user_bias=True,
        item_bias=True,
        precompute_for_predictions=False,
        nthreads=n_jobs,
        random_state=0,
        verbose=False,
    )
    start = time.perf_counter()
    model.fit(frame)
    seconds = time.perf_counter() - start
    mean = y.mean()

    def predict(ids, Z):
        scores = model.predict(ids[:, 0], ids[:, 1])
        return np.where(np.isnan(scores), mean, scores)

    return predict, seconds, n_iterations


def fit_myfm(ids, y, n_ids, n_iterations):
    """Fit myfm's Gibbs sampler on one-hot ids; it has one thread."""
    from myfm import MyFMRegressor
    from scipy.sparse import csr_matrix

    def design(ids):
        columns = (ids + [0, n_ids[0]]).ravel()  # noqa: RUF005
        starts = np.arange(0, len(columns) + 1, 2)
        shape = len(ids), sum(n_ids)
        return csr_matrix((np.ones(len(columns)), columns, starts), shape=shape)

    X = design(ids)
    model = MyFMRegressor(rank=RANK, random_seed=0)
    start = time.perf_counter()
    kept = max(n_iterations // 2, 1)
    model.fit(X, y, n_iter=n_iterations, n_kept_samples=kept, group_shapes=list(n_ids))
    seconds = time.perf_counter() - start
    return lambda ids, Z: model.predict(design(ids)), seconds, n_iterations


def measure(solver, n_rows, law, iterations, n_jobs):
    """Return a list of figures, one for each number of iterations."""
    n_ids = tuple(n_rows // rows for rows in ROWS_OF_AN_ID)
    n_test = n_rows // 10
    ids, Z, truth, y = planted(n_rows + n_test, n_ids, 0, law)
    train, test = slice(n_test, None), slice(n_test)
    figures = []
    for number in iterations:
        if solver == "proxylm":
            fitted = fit_als_on(ids[train], Z[train], y[train], n_ids, n_jobs)
        elif solver == "cmfrec":
            fitted = fit_cmfrec(ids[train], y[train], number, n_jobs)
        else:
            fitted = fit_myfm(ids[train], y[train], n_ids, number)
        predict, seconds, n_iterations = fitted
        error = predict(ids[test], Z[test]) - truth[test]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures.append(
            {
                "seconds": seconds,
                "iterations": n_iterations,
                "rmse": float(np.sqrt(np.mean(error**2))),
                "gigabytes": peak * (1 if sys.platform == "darwin" else 1024) / 1e9,
            }
        )
    return figures


def measured_apart(*task, n_jobs):
    """Call `measure` in a fresh process."""
    answer = subprocess.run(
        [sys.executable, __file__, "--task", json.dumps([*task, n_jobs])],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(n_jobs)},
    )
    if answer.returncode:
        raise RuntimeError(f"{task} failed: {answer.stderr[-2000:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def small_study(quick):
    """Compare one fit of a table of NUSA's shape with gradient descent."""
    ids, Z, _, y = planted(157, (8, 8), 33, rank=3)
    n_epochs = SGD_EPOCHS // 20 if quick else SGD_EPOCHS
    start = time.perf_counter()
    descended = fit_sgd(ids, Z, y, n_epochs)
    sgd = (time.perf_counter() - start) * SGD_EPOCHS / n_epochs
    how = f"extrapolated from {n_epochs}" if quick else "measured"
    fits = [fit_als_on(ids, Z, y, (8, 8), None) for _ in range(50)]
    times = np.array([seconds for _, seconds, _ in fits])
    predict, _, sweeps = fits[-1]
    residual = y - predict(ids, Z), y - descended
    own, other = (np.sqrt(np.mean(each**2)) for each in residual)
    print("157 scores, 8 + 8 ids, 33 features, rank 20")
    print(f"  sgd, {SGD_EPOCHS} epochs ({how}): {sgd:.2f} s, training RMSE {other:.3f}")
    print(
        f"  ours, {sweeps} sweeps: median {1e3 * np.median(times):.2f} ms, best "
        f"{1e3 * times.min():.2f} ms of {len(times)}, training RMSE {own:.3f}"
    )
    print(
        f"  ratio to the median: {sgd / np.median(times):.0f} times faster", flush=True
    )


def nusa_study(quick):
    """Compare whole fits on a training set of NUSA with gradient descent."""
    from proxylm import MatrixFactorizationRegressor, StratifiedRandomSplit, fetch_nusa

    try:
        records = fetch_nusa(target="m2m100", download_if_missing=False)
    except (OSError, ValueError) as error:
        print(f"NUSA is left out: {error}")
        return
    split = StratifiedRandomSplit(random_state=42)
    train, _ = next(split.split(records.data, groups=records.strata))
    X, y = records.data.iloc[train], records.target.iloc[train]
    languages = X.columns.intersection(records.groups.columns)
    ids = np.column_stack(
        [np.unique(X[name], return_inverse=True)[1] for name in languages]
    )
    Z = X.drop(columns=languages).to_numpy(float)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    n_epochs = SGD_EPOCHS // 20 if quick else SGD_EPOCHS
    start = time.perf_counter()
    descended = fit_sgd(ids, Z, y.to_numpy(), n_epochs)
    sgd = (time.perf_counter() - start) * SGD_EPOCHS / n_epochs
    print(f"NUSA, m2m100: {len(y)} scores, {Z.shape[1]} features, rank {RANK}")
    how = f"extrapolated from {n_epochs}" if quick else "measured"
    error = np.sqrt(np.mean((y - descended) ** 2))
    print(f"  sgd, {SGD_EPOCHS} epochs ({how}): {sgd:.2f} s, training RMSE {error:.3f}")
    for solver in ("als", "bayes"):
        regressor = MatrixFactorizationRegressor(RANK, solver=solver, random_state=0)
        times = []
        for _ in range(30):
            start = time.perf_counter()
            regressor.fit(X, y)
            times.append(time.perf_counter() - start)
        seconds = np.median(times)
        error = np.sqrt(np.mean((y - regressor.predict(X)) ** 2))
        print(
            f"  MatrixFactorizationRegressor({RANK}, solver={solver!r}).fit: median "
            f"{1e3 * seconds:.1f} ms, {sgd / seconds:.0f} times faster, training RMSE "
            f"{error:.3f}",
            flush=True,
        )


def scaling_study(sizes, n_jobs):
    """Print the slope of log time on log n, ids growing with n."""
    for law in ("uniform", "power law"):
        print(f"time against n, {law} ids")
        totals, sweeps = [], []
        for n_rows in sizes:
            (row,) = measured_apart("proxylm", n_rows, law, [0], n_jobs=n_jobs)
            totals.append(row["seconds"])
            sweeps.append(row["seconds"] / row["iterations"])
            print(
                f"  n {n_rows:>9,}: {row['seconds']:7.3f} s"
                f" ({1e6 * row['seconds'] / n_rows:.2f} us a score),"
                f" {row['iterations']} sweeps, RMSE {row['rmse']:.4f},"
                f" peak {row['gigabytes']:.2f} GB",
                flush=True,
            )
        slopes = [np.polyfit(np.log(sizes), np.log(t), 1)[0] for t in (totals, sweeps)]
        print(f"  slope of log time on log n: {slopes[0]:.3f}, a sweep {slopes[1]:.3f}")


def peer_study(n_rows, cmfrec_iterations, myfm_iterations, n_jobs):
    """Compare with cmfrec at its best number of iterations, and with myfm."""
    n_ids = [n_rows // rows for rows in ROWS_OF_AN_ID]
    for law in ("uniform", "power law"):
        print(
            f"{n_rows:,} scores, {n_ids[0]:,} x {n_ids[1]:,} {law} ids, rank {RANK}, "
            f"{n_jobs} threads"
        )
        tasks = {
            "proxylm": [0],
            "cmfrec": list(cmfrec_iterations),
            "myfm": [myfm_iterations],
        }
        best = {}
        for solver, iterations in tasks.items():
            rows = measured_apart(solver, n_rows, law, iterations, n_jobs=n_jobs)
            best[solver] = min(rows, key=lambda row: row["rmse"])
            for row in rows:
                mark = "best" if row is best[solver] and len(rows) > 1 else ""
                print(
                    f"  {solver:8s} {row['iterations']:>4} iterations:"
                    f" {row['seconds']:7.2f} s, RMSE {row['rmse']:.4f},"
                    f" peak {row['gigabytes']:.2f} GB {mark}".rstrip(),
                    flush=True,
                )
        for peer in ("cmfrec", "myfm"):
            seconds = best["proxylm"]["seconds"] / best[peer]["seconds"]
            rmse = best["proxylm"]["rmse"] / best[peer]["rmse"]
            print(f"  ours / {peer}: time {seconds:.2f}, RMSE {rmse:.4f}", flush=True)


def main():
    """Run the studies and print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the scores")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(measure(*json.loads(arguments.task))))
        return
    nusa_study(arguments.quick)
    small_study(arguments.quick)
    if arguments.quick:
        scaling_study((10_000, 30_000, 100_000), arguments.n_jobs)
        peer_study(100_000, CMFREC_ITERATIONS, 20, arguments.n_jobs)
    else:
        scaling_study((10_000, 100_000, 1_000_000), arguments.n_jobs)
        peer_study(1_000_000, CMFREC_ITERATIONS, MYFM_ITERATIONS, arguments.n_jobs)


if __name__ == "__main__":
    main()
