import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

# As the command line does: threads that spin while they wait make tutorials slow on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "interpkit"
author = "the interpkit authors"
copyright = f"2026, {author}"
version = release = version_of("interpkit-cnn")

extensions = ["command_tables", "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "jupyter_execute"]
nitpicky = True
# Annotations name types of other libraries, whose pages are on the network, and private ones, which have no page.
nitpick_ignore_regex = [(r"py:class", r".*")]
# Fields of one name in several results: their descriptions are not meant as links to each other.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = "interpkit"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["notebook.css"]

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

# A tutorial that no longer runs fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True
# Libraries' remarks on the machine that builds the pages, with its paths.
nb_output_stderr = "remove"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
