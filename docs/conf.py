"""Sphinx configuration: MyST pages, executed notebooks are rendered as stored."""

project = "dpsynth"
author = "the dpsynth authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = "dpsynth"
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tests execute the notebooks
autodoc_typehints = "description"
autodoc_member_order = "bysource"
