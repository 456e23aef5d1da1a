"""Doors to other libraries: SymPy's expressions, networkx's graphs."""
