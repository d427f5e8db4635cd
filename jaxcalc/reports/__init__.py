"""Figures, tables and offline pages from results; nothing here runs anything.

`figures`, `tables` and `page` are imported by name (`from jaxcalc.reports import
figures`), so that a figure does not need what only the page needs.
"""
