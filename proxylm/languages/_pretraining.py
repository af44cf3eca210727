"""Languages that models saw in pre-training."""

from functools import cache

from ._codes import macrolanguage, to_iso639_3

# As each model's tokenizer names them; M2M100 writes `ns` for Northern Sotho.
M2M100 = """
af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd
gl gu ha he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg
mk ml mn mr ms my ne nl no nso oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv
sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu
"""
NLLB = """
ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn als_Latn
amh_Ethi apc_Arab arb_Arab ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva
ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn ban_Latn bel_Cyrl bem_Latn ben_Beng
bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn
ces_Latn cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn
dzo_Tibt ell_Grek eng_Latn epo_Latn est_Latn eus_Latn ewe_Latn fao_Latn fij_Latn
fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gaz_Latn gla_Latn gle_Latn glg_Latn
grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn
hye_Armn ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn
kac_Latn kam_Latn kan_Knda kas_Arab kas_Deva kat_Geor kaz_Cyrl kbp_Latn kea_Latn
khk_Cyrl khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn kmr_Latn knc_Arab knc_Latn
kon_Latn kor_Hang lao_Laoo lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn
ltz_Latn lua_Latn lug_Latn luo_Latn lus_Latn lvs_Latn mag_Deva mai_Deva mal_Mlym
mar_Deva min_Latn mkd_Cyrl mlt_Latn mni_Beng mos_Latn mri_Latn mya_Mymr nld_Latn
nno_Latn nob_Latn npi_Deva nso_Latn nus_Latn nya_Latn oci_Latn ory_Orya pag_Latn
pan_Guru pap_Latn pbt_Arab pes_Arab plt_Latn pol_Latn por_Latn prs_Arab quy_Latn
ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Beng scn_Latn shn_Mymr sin_Sinh
slk_Latn slv_Latn smo_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srd_Latn
srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn szl_Latn tam_Taml taq_Latn taq_Tfng
tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi tpi_Latn tsn_Latn tso_Latn
tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab
uzn_Latn vec_Latn vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant
zho_Hans zho_Hant zsm_Latn zul_Latn
"""
AYA_23 = "ar cs de el en es fa fr he hi id it ja ko nl pl pt ro ru tr uk vi zh"
MODELS = {"m2m100": M2M100, "nllb": NLLB, "aya": AYA_23}

# Where ISO 639-3 and a model's list mean different things by a code. ISO counts
# Indonesian, Minangkabau and thirty others to Malay, of which a text labelled `ms`
# holds only the standard language; a text labelled `tl` is Filipino as well.
COVERAGE = {"msa": {"zsm", "zlm"}, "tgl": {"fil"}}


def covered_by(code):
    """Code whose texts hold the language too, or None."""
    for wider, covered in COVERAGE.items():
        if code in covered:
            return wider
    wider = macrolanguage(code)
    return None if wider in COVERAGE else wider


@cache
def pretraining_languages(model: str) -> frozenset[str]:
    """List the languages that a model was pre-trained on.

    Parameters
    ----------
    model : {"m2m100", "nllb", "aya"}
        M2M100 (100 languages), NLLB-200 (202 languages and scripts) or Aya 23 (23).

    Returns
    -------
    frozenset of str
        ISO 639-3 codes. M2M100 lists macrolanguages (`ara`), NLLB mostly
        individual languages (`arb`); `is_pretrained` sees through that.

    References
    ----------
    .. [1] Fan et al. (2021). Beyond English-centric multilingual machine
       translation. arXiv:2010.11125.
    .. [2] NLLB Team (2022). No language left behind: scaling human-centered
       machine translation. arXiv:2207.04672.
    .. [3] Aryabumi et al. (2024). Aya 23: open weight releases to further
       multilingual progress. arXiv:2405.15032.

    Examples
    --------
    >>> from proxylm.languages import pretraining_languages
    >>> len(pretraining_languages("m2m100"))
    100
    >>> "min" in pretraining_languages("nllb")
    True
    """
    if model not in MODELS:
        known = ", ".join(repr(name) for name in MODELS)
        raise ValueError(f"The pre-training lists known are {known}. Got {model!r}.")
    return frozenset(to_iso639_3(code) for code in MODELS[model].split())


@cache
def _listed_in_part(model):
    """Macrolanguages of which the model lists a member."""
    return {covered_by(code) for code in pretraining_languages(model)} - {None}


def is_pretrained(code: str, model: str) -> bool:
    """Tell whether a model saw a language in pre-training.

    Parameters
    ----------
    code : str
        Any code that `to_iso639_3` reads.
    model : {"m2m100", "nllb", "aya"}
        The model.

    Returns
    -------
    bool
        Whether the model lists the language, a macrolanguage that contains it,
        or, if it is a macrolanguage, one of its members.

    Notes
    -----
    Egyptian Arabic (`arz`) counts as the `ar` of M2M100, and `ar` as the `arb` of
    NLLB. The exception is Malay, which ISO 639-3 draws wide: Minangkabau (`min`)
    belongs to it there, but is no part of what M2M100 read as `ms`. Here `ms`
    covers `zsm` and `zlm` only. Filipino (`fil`) counts as Tagalog.

    Examples
    --------
    >>> from proxylm.languages import is_pretrained
    >>> is_pretrained("plt", "m2m100"), is_pretrained("min", "m2m100")
    (True, False)
    """
    language = to_iso639_3(code)
    listed = pretraining_languages(model)
    return (
        language in listed
        or covered_by(language) in listed
        or language in _listed_in_part(model)
    )
