"""Path diagrams: plain records in, one geometry, drawn as SVG or by matplotlib, or written as DOT.

`records` says what is to be drawn, `layers` or `graphviz` where it stands, `panel` and `geometry`
which strokes, outlines and texts (`shapes`) that makes; `svg` and `drawing` put them down.
"""
