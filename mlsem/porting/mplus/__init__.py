"""An Mplus input becomes Python: the data that are read, the model in lavaan's language, the call.

`sections.py` cuts the text, `lists.py` reads names and lists, `model.py` makes parameters of MODEL
statements and `written.py` the model text of these, `data.py` has DATA, VARIABLE and DEFINE,
`arithmetic.py` their formulas, `asked.py` what OUTPUT asks for; `program.py` puts all together.
"""

from mlsem.porting.mplus.program import translate

__all__ = ["translate"]
