"""Import of optional dependencies, with advice where one is missing."""

import importlib
from types import ModuleType


def import_optional(name: str, extra: str) -> ModuleType:
    """Import a module that only one of proxylm's extras installs.

    Parameters
    ----------
    name : str
        Name of the module, for example `"optuna"`.
    extra : str
        The extra of proxylm that installs it, for example `"search"`.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the module can't be imported; the message has the line to install it.

    Examples
    --------
    >>> from proxylm._optional import import_optional
    >>> import_optional("json", extra="search").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"This needs the module {name!r}, which could not be imported ({error}). "
            f'Install it with: pip install "proxylm[{extra}]"',
            name=name,
        ) from error
