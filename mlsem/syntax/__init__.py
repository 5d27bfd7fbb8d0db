"""lavaan's language and R's formulas: text → nodes that know where they stand.

It may import the errors only; the one place that imports lark. The language is in `grammar/`.
"""
