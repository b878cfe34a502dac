"""Sphinx: MyST pages, the reference written from the program, notebooks rendered with the outputs of a run.

`make docs` is quick and renders notebooks as they are stored, without outputs; `make docs-full` runs them, and again
only those that have changed. Nothing in the built site is fetched from anywhere else, and formulas need no script.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "dpsynth"
author = "the dpsynth authors"
copyright = "the dpsynth authors, Apache-2.0"  # noqa: A001 - Sphinx's name for it
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "generated", "selfcontained"]
exclude_patterns = ["_build", "_ext"]
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "dpsynth"
html_logo = "_static/mark.svg"
html_favicon = "_static/mark.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_build/extra"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "dpsynth"},
    "show_toc_level": 2,
    "show_nav_level": 1,
    "navigation_depth": 2,
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}
html_context = {"default_mode": "auto"}

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "cache" if os.environ.get("DPSYNTH_DOCS_EXECUTE") else "off"
nb_execution_cache_path = str(HERE / "_build" / "jupyter-cache")
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}  # the default fetches two scripts from the network

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
add_module_names = False
toc_object_entries = False
napoleon_use_rtype = False


def _take_notebooks() -> None:
    """Notebooks live beside the packages, where people look for them; Sphinx reads below its own folder only."""
    target = HERE / "tutorials" / "notebooks"
    target.mkdir(exist_ok=True)
    for source in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        copy, text = target / source.name, source.read_text("utf-8").replace("](../docs/", "](../../")
        if not copy.exists() or copy.read_text("utf-8") != text:
            copy.write_text(text, "utf-8")
    for copy in target.glob("*.ipynb"):
        if not (HERE.parent / "notebooks" / copy.name).exists():
            copy.unlink()
    (HERE / "_build" / "extra").mkdir(parents=True, exist_ok=True)


_take_notebooks()
