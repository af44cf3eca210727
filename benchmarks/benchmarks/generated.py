"""A record table of any size that needs no download."""

import numpy as np
import pandas as pd

from proxylm.records import RecordSchema, make_records

LANGUAGES = (
    "aar abk afr aka amh ara arg asm ava aym aze bak bam bel ben bis bod bos bre bul "
    "cat ces cha che chv cor cos cre cym dan deu div dzo ell eng est eus ewe fao fas "
    "fij fin fra fry ful gla gle glg grn guj"
).split()
FEATURES = [f"feature_{number:02d}" for number in range(24)]
PROXIES = [f"proxy_{number}" for number in range(4)]


def generated_records(n_records, seed=0):
    """Return records whose scores follow proxies, features and languages."""
    rng = np.random.default_rng(seed)
    names = np.array(LANGUAGES, dtype=object)
    source, target = rng.integers(0, len(names), (2, n_records))
    quality = rng.normal(20, 6, n_records) + rng.normal(0, 4, len(names))[source]
    frame = pd.DataFrame(rng.normal(size=(n_records, len(FEATURES))), columns=FEATURES)
    frame.insert(0, "source_lang", names[source])
    frame.insert(1, "target_lang", names[target])
    for name in PROXIES:
        frame[name] = quality + rng.normal(0, 3, n_records)
    interaction = 2 * np.tanh(frame[FEATURES[0]]) * frame[FEATURES[1]]
    frame["score"] = quality + interaction + rng.normal(0, 1, n_records)
    schema = RecordSchema(features=FEATURES, proxies=PROXIES, target="score")
    return make_records(frame, schema)
