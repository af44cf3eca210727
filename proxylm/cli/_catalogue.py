"""What `proxylm download` knows: the models and data of the experiments of ProxyLM.

Revisions are commits of the hub, and digests those of the weights at them, as public
repositories that pin the same files have them.
"""

from proxylm._remote import RemoteFile
from proxylm.cli._downloads import Archive, Download, Files, HubModel
from proxylm.lm._comet_checkpoint import (
    CHECKPOINT,
    ENCODER_FILES,
    ENCODER_FOLDER,
    SETTINGS,
    WMT22_COMET_DA,
)
from proxylm.metrics._translation import FLORES_200

_NUSA = (
    "https://raw.githubusercontent.com/IndoNLP/nusa-writes/"
    "076ec4e7b14613b8d3fe3b7dab98b2a153a42558/data/"
)
_NUSA_LANGUAGES = "abs bew bhp btk jav mad mak min mui rej sun".split()

CATALOGUE: tuple[Download, ...] = (
    HubModel(
        name="m2m100",
        what="M2M100 1.2B, translation between 100 languages",
        licence="MIT",
        size=4_964_000_000,
        model="facebook/m2m100_1.2B",
        revision="7b36184180524c1a1bbfa37f120a608046250b98",
        digests={
            "pytorch_model.bin": (
                "a58ef8f42362ef12adeddc600b3425f1e2bbd019cfa6aae6b0051e2e3e055cd4"
            )
        },
    ),
    HubModel(
        name="nllb",
        what="NLLB-200 distilled 1.3B, translation between 200 languages",
        licence="CC-BY-NC-4.0",
        size=5_505_000_000,
        model="facebook/nllb-200-distilled-1.3B",
        revision="7be3e24664b38ce1cac29b8aeed6911aa0cf0576",
        digests={
            "pytorch_model.bin": (
                "7e40f838a5aad3d60e9254632ab876bda44340386ca7ebad3e099db7432b04e1"
            )
        },
    ),
    HubModel(
        name="small100",
        what="SMaLL-100, a small translation model of 100 languages",
        licence="MIT",
        size=1_337_000_000,
        model="alirezamsh/small100",
        revision="8ab680e26a596d2e3d2d2d17ae0f68df1037328c",
        digests={
            "model.safetensors": (
                "dd3b845a36ea4ed90437fd0b9b477e30c21f144d3658679fd5c945e3c96b0fbc"
            )
        },
    ),
    HubModel(
        name="smollm_135m",
        what="SmolLM 135M, a small language model",
        licence="Apache-2.0",
        size=541_000_000,
        model="HuggingFaceTB/SmolLM-135M",
        revision="1d461723eec654e65efdc40cf49301c89c0c92f4",
        digests={
            "model.safetensors": (
                "c7a387d6fe81ca6dd304aeb809bda3932ff1bbef3ca41c9484502f2f448dc093"
            )
        },
    ),
    HubModel(
        name="smollm_360m",
        what="SmolLM 360M, a small language model",
        licence="Apache-2.0",
        size=1_450_000_000,
        model="HuggingFaceTB/SmolLM-360M",
        revision="59f7ef243ee09a72cbc14cb054393a3e3b771d41",
        digests={
            "model.safetensors": (
                "e91f05d8506ee5efbd8c0fbfc1799c49af2b2f2cce824bc2d801d5af2a716cc2"
            )
        },
    ),
    HubModel(
        name="bloomz_560m",
        what="BLOOMZ 560M, a small language model of 46 languages",
        licence="BigScience RAIL 1.0",
        size=1_133_000_000,
        model="bigscience/bloomz-560m",
        revision="a2845d7e13dd12efae154a9f1c63fcc2e0cc4b05",
        digests={
            "model.safetensors": (
                "365b2c5e9bd1057eb1e3f1a4fc3f89ae6584d20f24b682d2406bc7e90178ec13"
            )
        },
    ),
    HubModel(
        name="aya",
        what="Aya 23 8B, a language model of 23 languages",
        licence="CC-BY-NC-4.0",
        size=16_070_000_000,
        is_gated=True,
        model="CohereForAI/aya-23-8B",
        revision="89da1a0ed02d6130f93ae0ffdbedb63b760c0471",
    ),
    HubModel(
        name="llama3",
        what="Llama 3 8B Instruct, a language model",
        licence="Llama 3 Community",
        size=16_070_000_000,
        is_gated=True,
        model="meta-llama/Meta-Llama-3-8B-Instruct",
        revision="8afb486c1db24fe5011ec46dfbe5b5dccdb575c2",
    ),
    HubModel(
        name="comet",
        what="COMET wmt22-comet-da, a metric of translations",
        licence="Apache-2.0",
        size=2_330_000_000,
        model="Unbabel/wmt22-comet-da",
        revision="2760a223ac957f30acfb18c8aa649b01cf1d75f2",
        files=(SETTINGS, CHECKPOINT),
        digests={CHECKPOINT: WMT22_COMET_DA},
        parts=(
            HubModel(
                name=ENCODER_FOLDER,
                what="XLM-RoBERTa large, without its weights",
                licence="MIT",
                size=10_000_000,
                model="FacebookAI/xlm-roberta-large",
                revision="c23d21b0620b635a76227c604d44e43a9f0ee389",
                files=ENCODER_FILES,
            ),
        ),
    ),
    Files(
        name="flores200",
        what="SentencePiece model of FLORES-200, for spBLEU",
        licence="not stated",
        size=4_900_000,
        source="https://github.com/facebookresearch/fairseq/tree/nllb",
        files=(FLORES_200,),
    ),
    Archive(
        name="massive",
        what="MASSIVE 1.1, intents and slots in 52 languages",
        licence="CC-BY-4.0",
        size=40_251_390,
        source="https://github.com/alexa/massive",
        file=RemoteFile(
            "amazon-massive-dataset-1.1.tar.gz",
            "https://amazon-massive-nlu-dataset.s3.amazonaws.com/"
            "amazon-massive-dataset-1.1.tar.gz",
            "4cba5faa11c71437928e17cb1b9b3d8b8e727e7ea363a3a9a8045e19c0491577",
        ),
    ),
    Files(
        name="nusa",
        what="NusaTranslation, Indonesian and 11 languages of Indonesia",
        licence="CC-BY-SA-4.0",
        size=23_000_000,
        source="https://github.com/IndoNLP/nusa-writes",
        files=tuple(
            RemoteFile(f"nusa/{name}", f"{_NUSA}{name}")
            for language in _NUSA_LANGUAGES
            for split in ("train", "valid", "test")
            for name in (f"nusa_kalimat-mt-{language}-{split}.csv",)
        ),
    ),
    Archive(
        name="mt560",
        what="the texts of the paper, from MT560 and NusaTranslation",
        licence="of each corpus",
        size=None,
        source="https://github.com/davidanugraha/proxylm#dataset-manual-download-links",
        file=RemoteFile("mt560_dataset.tar.gz", url=""),
    ),
)
