"""The tests. A package by name, because a dependency installs a package of the same name."""
