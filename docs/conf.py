"""Configuration of the site: `make docs` builds it, and every warning is an error."""

import importlib.metadata
import os
import sys
from pathlib import Path

import losskit

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras decides once for a process
sys.path.insert(0, str(Path(__file__).parent / "ext"))

project = "losskit"
author = "the losskit contributors"
copyright = "2026, the losskit contributors"
version = release = losskit.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "catalogue",
    "command_output",
    "coverage_of_names",
    "docstrings",
    "fit_figures",
    "silent_failures",
]

exclude_patterns = ["_build", "ext"]
nitpicky = True
# Types that docstrings name in words, and libraries whose inventories would need a network.
nitpick_ignore_regex = [
    (r"py:.*", r"(np|numpy|npt|collections|typing|os|Any|Callable|Mapping)\b.*"),
    (r"py:.*", r"losskit\.formula\.expr\.(Expr|Trace)"),
    (r"py:.*", r"losskit\.fit\.data\.(designs\.Design|kernels\.Kernel)"),
    (r"py:.*", r"(torch|xgboost|lightgbm|catboost)\..*"),
    (r"py:.*", r"losskit\.(xgboost\.adapter\.Metric|sklearn\.(scorers\.Scorer|hist\.HistLoss))"),
]

myst_enable_extensions = [
    "attrs_block",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "substitution",
]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

doctest_global_setup = '__name__ = "__main__"\nimport losskit\nimport numpy as np'
trim_doctest_flags = True

html_theme = "pydata_sphinx_theme"
html_title = "losskit"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_css_files = ["losskit.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "losskit"},
    "navbar_align": "left",
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
    "show_prev_next": False,
}
html_sidebars = {"index": [], "reference": [], "contributing": [], "changelog": []}


def _mathjax() -> Path:
    """One file of MathJax from a Python package, so that the site also works without a network."""
    files = importlib.metadata.files("sphinx-mathjax-offline") or []
    return next(Path(f.locate()) for f in files if f.name == "tex-svg.js")


html_static_path = ["_static", str(_mathjax())]
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}
