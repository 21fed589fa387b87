"""The emulated products, a package each. Importing this package registers their routes."""

from importlib import import_module
from pkgutil import walk_packages

for _module in walk_packages(__path__, f"{__name__}."):
    if _module.name.endswith("routes"):
        import_module(_module.name)
