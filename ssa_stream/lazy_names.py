"""Names of a package that are imported when they are first asked for.

Importing torch takes seconds. A package that needs it offers its light names at once and the others through this, so
that whoever only wants to know whether an option, a prompt or a file is right does not wait for torch.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, **modules: str) -> Callable[[str], Any]:
    """A package's `__getattr__`.

        if TYPE_CHECKING:
            from package.heavy import First, Second
        else:
            __getattr__ = lazy_names(__name__, heavy="First Second")

    No module of the package may have the name of one of these: importing the module would take the name's place.

    Args:
        package: Its full name.
        modules: Names, with spaces between them, by the module that they come from.
    """
    places = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{places[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
