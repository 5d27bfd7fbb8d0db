"""Parameters that the statements of Mplus' MODEL name, by level and group."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from mlsem.porting.mplus.lists import Item, Names, NotTranslated, plain_names, read_list

_LEVEL = re.compile(r"%\s*(WITHIN|BETWEEN)\b[^%\n]*%", re.IGNORECASE)
_RELATION = re.compile(r"(?<![\w.])(BY|ON|WITH|PON|PWITH|XWITH)(?![\w.])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a parameter stands: a level (0 in a model of one), operator and variables."""

    level: int
    operator: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is said of it: a fixed value, a starting value, a label; freed where a default fixes."""

    fixed: str = ""
    start: str = ""
    label: str = ""
    freed: bool = False
    slope: str = ""


@dataclass
class Model:
    """What MODEL says.

    Attributes
    ----------
    parameters : dict
        Of all groups.
    of_groups : dict
        By group, what is different there.
    labels : Names
        Case does not matter in them either.
    """

    names: Names
    labels: Names = field(default_factory=Names)
    parameters: dict[Place, Parameter] = field(default_factory=dict)
    of_groups: dict[str, dict[Place, Parameter]] = field(default_factory=dict)
    latent: dict[str, int] = field(default_factory=dict)  # with the level
    slopes: list[str] = field(default_factory=list)
    _first: set[Place] = field(default_factory=set)

    def read(self, text: str, level: int, group: str | None = None) -> int:
        """One statement; the level that holds after it.

        Raises
        ------
        NotTranslated
            With the reason.
        """
        header = _LEVEL.fullmatch(text.strip())
        if header is not None:
            return 1 if header[1].upper() == "WITHIN" else 2
        if text.lstrip().startswith("%"):
            raise NotTranslated("latent classes are not fitted here")
        if "#" in text or "$" in text:
            raise NotTranslated("ordered variables and latent classes are not fitted here")
        if "|" in text:
            self._of_bar(text, level, group)
        elif text.lstrip().startswith("["):
            self._means(text, level, group)
        else:
            self._relation(text, level, group)
        return level

    # --- statements ---------------------------------------------------------------------------

    def _relation(self, text: str, level: int, group: str | None) -> None:
        words = list(_RELATION.finditer(text))
        if not words:
            for item in read_list(text, self.names):
                self._put(Place(level, "~~", item.name, item.name), item, 0, group)
            return
        if len(words) > 1:
            raise NotTranslated("it has several of BY, ON and WITH")
        word = words[0][1].upper()
        left = plain_names(text[: words[0].start()], self.names)
        right = read_list(text[words[0].end() :], self.names, times=len(left))
        if not left or not right:
            raise NotTranslated(f"{word} lacks a side")
        if word == "XWITH":
            raise NotTranslated("products with latent variables are not fitted here")
        if word in ("PON", "PWITH"):
            self._pairs(word, left, right, level, group)
        elif word == "BY":
            self._loadings(left, right, level, group)
        else:
            for k, name in enumerate(left):
                for item in right:
                    if word == "ON" or name != item.name:
                        self._put(self._path(word, name, item.name, level), item, k, group)

    def _path(self, word: str, left: str, right: str, level: int) -> Place:
        if word == "ON":
            return Place(level, "~", left, right)
        turned = Place(level, "~~", right, left)
        return turned if turned in self.parameters else Place(level, "~~", left, right)

    def _pairs(
        self, word: str, left: list[str], right: list[Item], level: int, group: str | None
    ) -> None:
        if len(left) != len(right):
            raise NotTranslated(f"{word} needs as many names on both sides")
        for name, item in zip(left, right, strict=True):
            self._put(self._path(word[1:], name, item.name, level), item, 0, group)

    def _loadings(self, left: list[str], right: list[Item], level: int, group: str | None) -> None:
        for k, factor in enumerate(left):
            if group is None and factor not in self.latent:
                self.latent[factor] = level
                self._first.add(Place(level, "=~", factor, right[0].name))
            for item in right:
                self._put(Place(level, "=~", factor, item.name), item, k, group)

    def _means(self, text: str, level: int, group: str | None) -> None:
        """`[y1 y2@0] (a)`; several brackets, one after another."""
        rest = text.strip()
        while rest:
            match = re.match(r"\[([^\[\]]*)\]\s*(\([^()]*\))?\s*", rest)
            if match is None:
                raise NotTranslated("a bracket is not closed")
            for item in read_list(f"{match[1]} {match[2] or ''}", self.names):
                self._put(Place(level, "~1", item.name, ""), item, 0, group)
            rest = rest[match.end() :]

    def _of_bar(self, text: str, level: int, group: str | None) -> None:
        """`s | y ON x` and `i s | y1@0 y2@1`."""
        named, _, rest = text.partition("|")
        new = plain_names(named, self.names)
        words = list(_RELATION.finditer(rest))
        if re.search(r"(?<!\w)AT(?!\w)", rest, re.IGNORECASE):
            raise NotTranslated("times that differ between rows: fit rows, not waves")
        if not words:
            self._growth(new, read_list(rest, self.names), level, group)
            return
        if len(words) > 1 or words[0][1].upper() != "ON":
            raise NotTranslated("products with latent variables are not fitted here")
        outcomes = plain_names(rest[: words[0].start()], self.names)
        covariates = plain_names(rest[words[0].end() :], self.names)
        paths = [(y, x) for y in outcomes for x in covariates]
        if len(paths) != len(new):
            raise NotTranslated("there are not as many slopes as paths")
        for slope, (y, x) in zip(new, paths, strict=True):
            self.latent.setdefault(slope, 2)
            self.slopes.append(slope)
            self.parameters[Place(level, "~", y, x)] = Parameter(slope=slope)

    def _growth(self, new: list[str], waves: list[Item], level: int, group: str | None) -> None:
        if not 1 <= len(new) <= 3 or len(waves) < 2:
            raise NotTranslated("only linear and quadratic growth is known here")
        for power, factor in enumerate(new):
            self.latent.setdefault(factor, level)
            for wave in waves:
                self._put(Place(level, "=~", factor, wave.name), _score(wave, power), 0, group)
            self._put(Place(level, "~1", factor, ""), Item(factor), 0, group)
        for wave in waves:
            self._put(Place(level, "~1", wave.name, ""), Item(wave.name, "@", "0"), 0, group)

    # --- parameters ---------------------------------------------------------------------------

    def _put(self, place: Place, item: Item, k: int, group: str | None) -> None:
        target = self.parameters if group is None else self.of_groups.setdefault(group, {})
        label = item.labels[min(k, len(item.labels) - 1)] if item.labels else ""
        before = target.get(place, Parameter())
        if item.how == "@":
            told = replace(before, fixed=item.value, start="", freed=False)
        elif item.how == "*":
            told = replace(before, fixed="", start=item.value, freed=True)
        elif group is not None or place in self.parameters:
            told = replace(before, fixed="", freed=True)
        else:
            told = before
        if label and not self._is_marker(place, told):
            told = replace(told, label=self.labels.spelt(label))
        target[place] = told

    def _is_marker(self, place: Place, told: Parameter) -> bool:
        """A first loading that stays 1 takes part in no equality."""
        return place in self._first and not told.freed

    def markers(self) -> set[Place]:
        """First loadings that Mplus fixes to 1."""
        return {
            place
            for place in self._first
            if not self.parameters[place].freed and not self.parameters[place].fixed
        }


def _score(wave: Item, power: int) -> Item:
    """The loading of a wave on the intercept (power 0), slope or quadratic factor."""
    if power == 0:
        return Item(wave.name, "@", "1")
    if wave.how == "@" and power == 1:
        return wave
    if wave.how == "@":
        return Item(wave.name, "@", f"{float(wave.value) ** power:.10g}")
    if power > 1:
        raise NotTranslated("free times of measurement have no quadratic trend")
    return wave
