"""How a model was specified, so that it can be fitted again with changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsem.model.options import ModelOptions

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a fit keeps beside its table, settings and moments of the data.

    The data frame is not kept: what the moments of its variables do not hold needs it again.

    Attributes
    ----------
    options : ModelOptions
    refit : function
        Of a fit, a model or None, data or None, and keywords.
    """

    options: ModelOptions
    refit: Callable[[Any, object, object, Mapping[str, Any]], Any]
