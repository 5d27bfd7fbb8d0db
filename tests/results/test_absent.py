"""Kinds of fits say why they have not what others have."""

from __future__ import annotations

import pytest

import mlsem
from mlsem.errors import UnknownNameError
from mlsem.results.generalized.result import GlmResult
from mlsem.results.mixed.result import MixedResult
from mlsem.results.nested.result import NestedResult

ELSEWHERE = {"simulate"}  # of the package: the table of names answers


def names(kind: type) -> set[str]:
    own = {*dir(kind), *getattr(kind, "__dataclass_fields__", ())}
    return {name for name in own if not name.startswith("_")}


@pytest.mark.parametrize("kind", [NestedResult, GlmResult])
def test_all_that_a_mixed_model_has_is_there_or_has_a_reason(kind: type) -> None:
    reasons = kind._reasons  # type: ignore[attr-defined]
    assert names(MixedResult) - names(kind) - ELSEWHERE <= {*reasons}
    assert not names(kind) & {*reasons}


def test_the_reason_is_what_is_raised() -> None:
    data = mlsem.load_example("article").assign(district=lambda d: d["id"] // 5)
    fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
    with pytest.raises(UnknownNameError, match=r"A NestedResult has no 'report': summary\(\)"):
        fit.report  # noqa: B018
    assert not hasattr(fit, "fit_measures")
    with pytest.raises(UnknownNameError, match="from lme4"):
        fit.ranef  # noqa: B018
