import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxylm.languages import (
    is_pretrained,
    language_name,
    macrolanguage,
    pretraining_languages,
    to_iso639_3,
    web_share,
)
from proxylm.languages._pretraining import NLLB
from proxylm.languages._web_share import PAGES_PER_MILLION

# The languages of the four record tables, as the tables write them.
MT560 = (
    "afr amh arz bak bel ceb cym deu dik eng ewe fao fra guj hau hne hye ibo ind jav "
    "kan kat kaz khm kin kir kor lmo ltz mar mri mya oci pan plt rus sin sna snd som "
    "ssw tam tat tgl tuk vie wol xho yor zho zul"
).split()
NUSA = "bew btk ind jav mad mak min sun".split()
INTENT = (
    "af am ar az bn cy da de el en es fa fi fr he hi hu hy id is it ja jv ka km kn ko "
    "lv ml mn ms my nb nl pl pt ro ru sl sq sv sw ta te th tl tr ur vi zh-CN zh-TW"
).split()
SLOT = (
    "af-ZA am-ET ar-SA az-AZ bn-BD cy-GB da-DK de-DE el-GR en-US es-ES fa-IR fi-FI "
    "fr-FR he-IL hi-IN hu-HU hy-AM id-ID is-IS it-IT ja-JP jv-ID ka-GE km-KH kn-IN "
    "ko-KR lv-LV ml-IN mn-MN ms-MY my-MM nb-NO nl-NL pl-PL pt-PT ro-RO ru-RU sl-SL "
    "sq-AL sv-SE sw-KE ta-IN te-IN th-TH tl-PH tr-TR ur-PK vi-VN zh-CN zh-TW"
).split()
EVERY = sorted({*MT560, *NUSA, *INTENT, *SLOT})

# Published with the tables: what each model did not see in pre-training.
M2M100_UNSEEN = (
    "abs asm bew bhp btk dik ewe fao hne kab kin kir lmo mad mak min mri sna tat tel "
    "tgk tuk uig"
).split()
NLLB_UNSEEN = "abs bew bhp btk mad mak".split()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("id", "ind"),
        ("ind", "ind"),
        ("id-ID", "ind"),
        ("sl-SL", "slv"),  # a country code that does not belong to the language
        ("zh-CN", "zho"),
        ("zh-TW", "zho"),
        ("zho_Hans", "zho"),
        ("swh_Latn", "swh"),
        ("en_XX", "eng"),
        ("ro_RO", "ron"),
        ("es-419", "spa"),
        ("sr-Latn-RS", "srp"),
        ("zh-yue", "yue"),
        ("sgn-ase", "ase"),
        ("zh-min-nan", "nan"),
        ("x-klingon", None),
        # ISO 639-2/B and withdrawn codes
        ("fre", "fra"),
        ("iw", "heb"),
        ("in", "ind"),
        ("ji", "yid"),
        ("jw", "jav"),
        ("sh", "hbs"),
        ("mo", "ron"),
        ("scr", "hrv"),
        ("ajp_Arab", "apc"),
        # codes that other standards replace
        ("tl", "tgl"),
        ("tl-PH", "tgl"),
        ("fil", "fil"),
        ("prs", "prs"),
        ("plt", "plt"),
        ("sw", "swa"),
        ("btk", "bbc"),
    ],
)
def test_codes_of_every_standard_become_iso639_3(code, expected):
    assert to_iso639_3(code, errors="coerce") == expected


@pytest.mark.parametrize("code", ["ZHO_HANS", "zho-hans", "Zho_hans", "ZH-cN"])
def test_case_and_separator_do_not_matter(code):
    assert to_iso639_3(code) == "zho"


@pytest.mark.parametrize(
    ("codes", "n_languages"), [(MT560, 51), (NUSA, 8), (INTENT, 50), (SLOT, 50)]
)
def test_languages_of_the_record_tables_all_map(codes, n_languages):
    assert len({to_iso639_3(code) for code in codes}) == n_languages


def test_intent_and_slot_write_the_same_languages():
    assert [to_iso639_3(code) for code in INTENT] == [to_iso639_3(c) for c in SLOT]


def test_iso639_3_codes_map_to_themselves():
    from iso639 import iter_langs

    languages = [
        lang for lang in iter_langs() if lang.pt3 and lang.scope() != "Special"
    ]
    assert len(languages) > 7_800
    for lang in languages:
        assert to_iso639_3(lang.pt3) == lang.pt3
        for other in (lang.pt1, lang.pt2b, lang.pt2t):
            assert not other or to_iso639_3(other) == lang.pt3


@given(st.text(max_size=12))
def test_any_text_gives_a_code_or_a_value_error(text):
    try:
        found = to_iso639_3(text)
    except ValueError as error:
        assert repr(text) in str(error)
        assert to_iso639_3(text, errors="coerce") is None
    else:
        assert to_iso639_3(found) == found


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("egn", "'egn' is not a known language code. The nearest known codes .*eng"),
        ("xx", "'xx' is not a known language code. The nearest known codes are xh"),
        ("inx", "nearest known codes are ind"),
        ("Javanese", "The code of Javanese is 'jav'"),
        ("eng-ind", "'eng-ind' is not a known"),
        ("zh-xyz", "'zh-xyz' is not a known"),
        ("", "'' is not a known language code. Expected an ISO 639 code"),
        ("bnt", "'bnt' is the code of a family .Bantu languages., not of a language"),
        ("ine", "family .Indo-European languages."),
        ("him", "family .Himachali languages."),
        ("und", "'und' stands for 'undetermined', not for a language"),
        ("mul", "stands for 'multiple languages'"),
        ("agp", "'agp' .Paranan. was withdrawn .* Split into .*apf.*prf"),
    ],
)
def test_what_is_no_language_is_named_with_a_remedy(code, message):
    with pytest.raises(ValueError, match=message):
        to_iso639_3(code)
    assert to_iso639_3(code, errors="coerce") is None


@pytest.mark.parametrize("code", [None, float("nan"), 3, b"eng"])
def test_a_code_that_is_no_string_is_a_type_error(code):
    with pytest.raises(TypeError, match="is a string such as 'ind'"):
        to_iso639_3(code)
    assert to_iso639_3(code, errors="coerce") is None


def test_a_code_read_as_a_missing_value_says_how_to_read_it():
    with pytest.raises(TypeError, match=r"code of Min Nan.*read_records"):
        to_iso639_3(float("nan"))


def test_unknown_errors_option_is_refused():
    with pytest.raises(ValueError, match="errors expects 'raise' or 'coerce'"):
        to_iso639_3("eng", errors="ignore")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("plt", "mlg"),
        ("arz", "ara"),
        ("khk", "mon"),
        ("min", "msa"),
        ("nb-NO", "nor"),
        ("eng", None),
        ("swa", None),
        ("btk", None),
    ],
)
def test_macrolanguage_is_found(code, expected):
    assert macrolanguage(code) == expected


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("ell", "Greek"),
        ("zh-TW", "Chinese"),
        ("prs", "Dari"),
        ("tl", "Tagalog"),
        ("swh", "Swahili"),
        ("msa", "Malay"),
        ("abs", "Ambonese Malay"),
        ("btk", "Batak Toba"),
    ],
)
def test_languages_have_everyday_names(code, name):
    assert language_name(code) == name


def test_pretraining_lists_have_the_published_lengths():
    assert len(pretraining_languages("m2m100")) == 100
    # 202 tokens: 204 varieties of FLORES-200 without arb_Latn and min_Arab, each a
    # second script of its language.
    assert len(set(NLLB.split())) == len(NLLB.split()) == 202
    in_two_scripts = 6  # ace bjn kas knc taq zho
    merged_since = 1  # ajp into apc
    assert len(pretraining_languages("nllb")) == 202 - in_two_scripts - merged_since


@pytest.mark.parametrize(
    ("model", "unseen"), [("m2m100", M2M100_UNSEEN), ("nllb", NLLB_UNSEEN)]
)
def test_unseen_languages_are_exactly_the_published_ones(model, unseen):
    candidates = sorted({*EVERY, *M2M100_UNSEEN})
    found = [code for code in candidates if not is_pretrained(code, model)]
    spelled_otherwise = {"te", "te-IN"} if model == "m2m100" else set()
    assert sorted(set(found) - spelled_otherwise) == unseen
    assert spelled_otherwise <= set(found)


@pytest.mark.parametrize("code", ["plt", "arz", "swh", "khk", "nob", "zsm", "zh-TW"])
def test_members_of_a_listed_macrolanguage_count(code):
    assert is_pretrained(code, "m2m100")


@pytest.mark.parametrize("code", ["ar", "fa", "sw", "mn", "lv", "sq", "ms", "mg"])
def test_macrolanguages_of_a_listed_member_count(code):
    assert to_iso639_3(code) not in pretraining_languages("nllb")
    assert is_pretrained(code, "nllb")


def test_malay_covers_the_standard_language_only():
    assert is_pretrained("ms", "m2m100")
    assert is_pretrained("zlm", "m2m100")
    assert not is_pretrained("min", "m2m100")
    assert not is_pretrained("bjn", "m2m100")
    assert is_pretrained("min", "nllb")


def test_filipino_counts_as_tagalog():
    assert is_pretrained("fil", "m2m100")
    assert is_pretrained("fil", "nllb")


def test_siblings_of_a_listed_member_do_not_count():
    assert is_pretrained("plt", "nllb")
    assert not is_pretrained("bhr", "nllb")  # Bara Malagasy


def test_unknown_model_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'m2m100', 'nllb', 'aya'\. Got 'mbart'"):
        is_pretrained("eng", "mbart")


def test_import_does_not_load_the_language_data():
    program = (
        "import sys, proxylm.languages; "
        "print({'langcodes', 'language_data', 'iso639'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_web_shares_are_shares_of_languages():
    words = PAGES_PER_MILLION.split()
    codes, pages = words[::2], np.array(words[1::2], dtype=float)
    assert len(set(codes)) == len(codes)
    assert [to_iso639_3(code) for code in codes] == codes
    assert (np.diff(pages) <= 0).all() and 0.9e6 < pages.sum() < 1e6


@pytest.mark.parametrize(
    ("code", "same"), [("de-AT", "deu"), ("swh", "swa"), ("nob", "nor"), ("cmn", "zh")]
)
def test_the_web_share_is_that_of_the_wider_language(code, same):
    assert web_share(code) == web_share(same) > 1e-5


def test_a_language_that_no_detector_knows_has_least_of_the_web():
    # Minangkabau is no part of what is labelled Malay.
    assert web_share("min") == web_share("mak") < web_share("zha")
    with pytest.raises(ValueError, match="is not a known language code"):
        web_share("idn")
