"""How much of the web is written in a language."""

import math
from functools import cache

from ._codes import to_iso639_3
from ._pretraining import covered_by

# HTML pages per million in the crawl of August 2024 (CC-MAIN-2024-33) whose main
# language is the one named; Luxembourgish, which it lacks, as in September 2018
# (CC-MAIN-2018-39).
PAGES_PER_MILLION = """
eng 431787 rus 62242 zho 51917 deu 50895 jpn 48790 spa 45819 fra 42439 ita 24921
por 22179 pol 19342 nld 17821 tur 12744 ind 11139 vie 10514 ces 10158 fas 7345 kor 7224
ara 7112 swe 6926 ron 6540 ukr 6064 hun 5822 ell 5803 dan 4557 tha 4309 slk 4056
fin 3403 bul 3004 nor 2959 srp 2435 heb 2373 hrv 2224 cat 2045 hin 2018 slv 1600
lit 1524 est 1302 ben 1209 lat 1016 lav 912 msa 782 aze 740 bos 533 nep 533 sqi 508
tam 490 mkd 422 kat 410 isl 376 hye 366 glg 359 eus 345 urd 327 kaz 288 mar 278 mal 269
uzb 248 tel 218 kan 168 mon 167 bel 159 mya 139 nno 126 guj 122 cym 108 khm 108 afr 104
swa 100 epo 96 tgl 94 kir 93 sin 88 gle 74 pan 74 tat 72 kur 71 tgk 69 ori 64 som 50
mlt 47 fao 45 lao 35 mlg 34 oci 33 bre 32 pus 32 san 32 amh 29 hau 28 zul 28 fry 27
bak 25 tuk 25 asm 23 div 22 kin 22 xho 22 cos 21 jav 21 ltz 21 ceb 20 snd 20 war 20
hat 19 yid 18 gla 15 bod 13 mri 13 uig 12 sun 10 roh 9 grn 8 kal 8 tir 8 yor 8
haw 7 sco 7 smo 7 hmn 6 ibo 6 nya 6 orm 6 sna 6 sot 6 ile 5 ina 5 que 5 vol 5 abk 4
lin 4 sag 4 glv 3 kha 3 syr 3 crs 2 iku 2 lug 2 mfe 2 wol 2 aar 1 aka 1 aym 1 bis 1
dzo 1 fij 1 ipk 1 nau 1 run 1 ton 1 tsn 1 tso 1 zha 1
"""
# A language that the detector does not know, or finds on fewer pages than it lists.
UNLISTED = 0.5


@cache
def _shares():
    """Share of pages of each listed language."""
    words = PAGES_PER_MILLION.split()
    return {
        code: float(pages) / 1e6
        for code, pages in zip(words[::2], words[1::2], strict=True)
    }


def web_share(code: str) -> float:
    """Return the share of the web's pages that are written in a language.

    Parameters
    ----------
    code : str
        Any code that `to_iso639_3` reads.

    Returns
    -------
    float
        Share of the HTML pages of a crawl, between 0 and 1. A language that is part
        of a listed macrolanguage has that one's share; one that is not listed at all
        has half a page per million.

    Notes
    -----
    What a large model knows of a language follows what of it stands on the web, since
    that is what it was trained on. The shares are those that Common Crawl publishes of
    its crawl of August 2024 [1]_, by the main language of a page as the detector CLD2
    sees it, which knows 160 languages.

    References
    ----------
    .. [1] Common Crawl, "Statistics of Common Crawl Monthly Archives: Distribution of
       Languages", https://commoncrawl.github.io/cc-crawl-statistics/plots/languages.

    Examples
    --------
    >>> from proxylm.languages import web_share
    >>> web_share("deu"), web_share("swh")
    (0.050895, 0.0001)
    """
    language = to_iso639_3(code)
    shares = _shares()
    wider = covered_by(language)
    return shares.get(language, shares.get(wider, UNLISTED / 1e6))


def log_web_share(code):
    """Return the decimal logarithm of `web_share`, as features have it."""
    return math.log10(web_share(code))
