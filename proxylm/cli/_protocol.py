"""The section `protocol` of a configuration: how records are split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from sklearn.utils import Bunch

import proxylm
from proxylm.cli._values import check_keys, check_texts, look_up, plain
from proxylm.model_selection._protocols import PROTOCOLS, resolve_protocol

SPLITTERS = {
    "LeaveOneLanguageOut": proxylm.LeaveOneLanguageOut,
    "LanguageKFold": proxylm.LanguageKFold,
    "UnseenLanguageSplit": proxylm.UnseenLanguageSplit,
    "CrossDatasetSplit": proxylm.CrossDatasetSplit,
    "StratifiedRandomSplit": proxylm.StratifiedRandomSplit,
}


def _complete(splitter: type, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the parameters of a splitter, those that are not given by default."""
    parameters = signature(splitter).parameters.values()
    defaults = {entry.name: entry.default for entry in parameters}
    required = [name for name, value in defaults.items() if value is Parameter.empty]
    missing = [name for name in required if name not in given]
    if missing:
        raise ValueError(
            f"{where} expects the keys {', '.join(required)}. Got no "
            f"{', '.join(missing)}."
        )
    complete = plain({name: given.get(name, defaults[name]) for name in defaults})
    splitter(**complete)  # refuses bad values
    return complete


def _parse_languages(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the languages to leave out, None for all."""
    languages = values.get("languages")
    if languages in (None, "all"):
        return None
    return check_texts(languages, "protocol.languages")


@dataclass(frozen=True)
class ProtocolConfig:
    """How records are split: a published protocol, or a splitter with parameters."""

    name: str | None = "lolo"
    splitter: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    languages: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, values: Any) -> "ProtocolConfig":
        """Return the object of the section `protocol`."""
        if isinstance(values, str):
            values = {"splitter" if values in SPLITTERS else "name": values}
        if not isinstance(values, Mapping) or "splitter" not in values:
            check_keys(values, ["name", "languages"], "protocol")
            name = values.get("name", cls.name)
            look_up(PROTOCOLS, name, "protocol")
            return cls(name=name, languages=_parse_languages(values))
        splitter = look_up(SPLITTERS, values["splitter"], "protocol.splitter")
        where = f"protocol with the splitter {values['splitter']}"
        parameters = signature(splitter).parameters
        check_keys(values, ["splitter", "languages", *parameters], where)
        return cls(
            name=None,
            splitter=values["splitter"],
            parameters=_complete(splitter, values, where),
            languages=_parse_languages(values),
        )

    def build(self, records: Bunch) -> tuple[Any, tuple[float, ...] | None]:
        """Return the splitter, and the portions of training rows it is used with."""
        if self.splitter is None:
            splitter, sizes = resolve_protocol(self.name, records)
        else:
            splitter, sizes = SPLITTERS[self.splitter](**self.parameters), None
        if self.languages is not None:
            splitter = self._leave_out_only(splitter, records.groups)
        return splitter, sizes

    def _leave_out_only(self, splitter: Any, groups: Any) -> Any:
        """Return the splitter for the chosen languages alone."""
        if not isinstance(splitter, proxylm.LeaveOneLanguageOut):
            raise ValueError(
                "protocol.languages expects a protocol that leaves one language out at "
                f"a time (lolo). Got {self.label}."
            )
        known = {str(language): language for language in splitter.left_out(groups)}
        chosen = [look_up(known, name, "protocol.languages") for name in self.languages]
        others = [language for language in known.values() if language not in chosen]
        return proxylm.LeaveOneLanguageOut(
            side=splitter.side, exclude=[*splitter.exclude, *others]
        )

    @property
    def label(self) -> str:
        """The protocol as a part of a file name."""
        languages = "-".join(self.languages or ())
        return "_".join(filter(None, [self.name or self.splitter, languages]))

    def to_dict(self) -> dict[str, Any]:
        """Return the section as YAML writes it, complete with defaults."""
        kind = "name" if self.splitter is None else "splitter"
        return {
            kind: getattr(self, kind),
            **self.parameters,
            "languages": plain(self.languages or "all"),
        }
