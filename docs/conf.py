"""The site: `make docs` builds it into docs/_build/html. Reading it fetches nothing."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import mlsem

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

# Pages run in kernels that know no settings of the person who builds them. Warnings there are
# without the path of a cell, and no bar of progress is left on a page when the builder is slow.
KERNEL = """
c.IPKernelApp.log_level = 40
c.HistoryManager.enabled = False
c.InteractiveShellApp.exec_lines = [
    "import warnings",
    "warnings.formatwarning = lambda text, kind, *rest: f'{kind.__name__}: {text}\\\\n'",
    "from mlsem.parallel import progress",
    "progress.DELAY = float('inf')",
    "del warnings, progress",
]
"""
PROFILE = Path(tempfile.mkdtemp(prefix="mlsem-docs-"))
atexit.register(shutil.rmtree, PROFILE, ignore_errors=True)
(PROFILE / "profile_default").mkdir()
(PROFILE / "profile_default" / "ipython_kernel_config.py").write_text(KERNEL, "utf-8")
os.environ["IPYTHONDIR"] = str(PROFILE)

project = "mlsem"
author = "the authors of mlsem"
project_copyright = author
version = release = mlsem.__version__
language = "en"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "local_mathjax",
    "reference",
    "properties",
    "validation",
]
exclude_patterns = ["_build", "README.md"]
templates_path = ["_templates"]
source_suffix = {
    ".rst": "restructuredtext",
    ".md": "myst-nb",
}  # the first is what autosummary writes

# Pages.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
nb_ipywidgets_js = {}  # would be fetched from another host
nb_mime_priority_overrides = [("html", "image/svg+xml", 5), ("html", "image/png", 6)]

# Reference.
default_role = "py:obj"  # `params` in a docstring: a link where there is such a name, else code
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say the types in words
add_module_names = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

# Looks.
html_theme = "pydata_sphinx_theme"
html_title = "mlsem"
html_static_path = ["_static"]
html_css_files = ["mlsem.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # would fetch the pages found, which files on a disk do not allow
html_theme_options = {
    "logo": {"text": "mlsem"},
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_prev_next": True,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
html_sidebars = {"start": [], "limits": [], "validation": [], "benchmarks": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
