"""What a reader of a record table should know, as text."""

from ._tables import RecordTable

_TEMPLATE = """\
{title}
{rule}

{story}

{n_records:,} records, {n_languages} languages.
Target models: {targets}.
Scores: {scores}.
Proxies: {proxies}.

Columns
-------
source_lang, target_lang
    Languages translated from and into, or trained on and tested on.
train_dataset, test_dataset, dataset_size (translation only)
    Corpora, and the number of training examples.
genetic, geographic, syntactic, inventory, phonological, featural
    Distances between the two languages, from 0 to 1, of the URIEL database.
dev_size, test_size, *_word_vocab_size, avg_*_sentence_length
    Sizes of the texts.
*_word_overlap, ttr_*, *_ttr_distance, *_jsd, *_tf_idf, *_st_similarity
    How alike training, development and test texts are.
eng_target, direction_indicator
    1 for one direction of a pair of languages and 0 for the other.
{target_column}
    Score of the fine-tuned target model. Columns of the same form hold the scores of
    the proxies, which are known before the target model is run. `_ft` and `_noft` are
    a model with and without fine-tuning, `_se` is the bootstrap standard error.

Traps
-----
- The "word" statistics are statistics of characters: the texts were joined with
  spaces before they were split into words.
- `*_tf_idf` and `*_st_similarity` are cosine distances: 0 is alike.
- `*_jsd` is the Jensen-Shannon distance, the square root of the divergence.
- Word overlap is |A and B| / (|A| + |B|), at most 0.5.
- A score of exactly 0 is a score, not a missing value.
- Languages and size of the training set do not identify a record: several test sets
  share them.
- Language codes are written differently in each table (`sin`, `ka`, `km-KH`);
  `proxylm.languages.to_iso639_3` reads all of them.

Source
------
{url}
SHA-256 {sha256}
Made by the authors of ProxyLM, Apache License 2.0.

David Anugraha, Genta Indra Winata, Chenyue Li, Patrick Amadeus Irawan, En-Shiun Annie
Lee (2024). ProxyLM: predicting language model performance on multilingual tasks via
proxy models. arXiv:2406.09334.
"""


def describe(table: RecordTable) -> str:
    """Describe a record table: origin, licence, citation, columns and traps."""
    return _TEMPLATE.format(
        title=table.title,
        rule="=" * len(table.title),
        story=table.story,
        n_records=table.n_records,
        n_languages=table.n_languages,
        targets=", ".join(table.targets),
        scores=", ".join(table.scores),
        proxies=", ".join(table.proxies),
        target_column=table.target_column,
        url=table.remote.url,
        sha256=table.remote.sha256,
    )
