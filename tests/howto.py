"""Following a how-to page: its code, put where the page says it belongs."""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
PAGES = HERE.parent / "docs" / "howto"


def code_of(page: str, *, whole: bool = False) -> Any:
    """The Python code blocks of a page in their order; or the whole page."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return text if whole else re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@contextmanager
def offered(
    package: ModuleType, name: str, code: str, *, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """While it lasts, ``code`` is a file of the package's folder."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    try:
        yield
    finally:
        sys.modules.pop(f"{package.__name__}.{name}", None)
        vars(package).pop(name, None)


def law_tests(file: str) -> list[Callable[..., None]]:
    """The tests of ``laws/<file>``."""
    spec = importlib.util.spec_from_file_location(f"laws_{Path(file).stem}", HERE / "laws" / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [law for name, law in vars(module).items() if name.startswith("test_")]
