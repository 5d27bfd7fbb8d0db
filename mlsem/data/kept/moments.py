"""`Moments`: what a model needs of its data, without the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.base.display import cell
from mlsem.core.records import frozen
from mlsem.data.moments.monomial_merge import merged, merged_groups
from mlsem.data.moments.monomials import GroupedMonomials, MonomialMoments
from mlsem.data.table.nesting import coded
from mlsem.errors import DataError, OptionValueError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of the data of a model, by cluster: what a fit needs in place of the rows.

    Made by `mlsem.moments`, taken by `mlsem.fit` in place of data. For each cluster (with missing
    values for each pattern of them in it) there are the number of rows n, the means and the
    centred cross-products Σ (m − m̄)(m − m̄)ᵀ of the M variables and products of level 1, and the
    values of level 2.

    Attributes
    ----------
    model : str
        The model that they were made for.
    options : mapping
        Keywords of the model that were given with it.
    cluster, group, se_cluster : str or None
        Columns of clusters, of groups and of the clusters of robust standard errors.
    missing : str or None
        What was asked for rows with missing values.
    auxiliary : tuple of str
        Variables beside the model.
    content : MonomialMoments or GroupedMonomials
        The numbers.
    anonymous : bool
        Whether ids of clusters were replaced by numbers.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> model = "level: 1; y ~ x1 + w1:x1; level: 2; y ~ w1"
    >>> moments = mlsem.moments(model, data, cluster="id")
    >>> moments
    Moments of 500 rows in 50 clusters of 'id', 6174 bytes
    variables: y, x1, w1
    missing: nothing
    >>> moments.variables, moments.n_rows, moments.n_clusters, moments.nbytes
    (('y', 'x1', 'w1'), 500, 50, 6174)
    >>> moments.n_rows_left_out, moments.smallest_cluster, len(moments.parts)
    (0, 10, 1)
    """

    model: str
    options: Mapping[str, Any]
    cluster: str | None
    group: str | None
    se_cluster: str | None
    missing: str | None
    auxiliary: tuple[str, ...]
    content: MonomialMoments | GroupedMonomials = field(repr=False)
    anonymous: bool = False

    @property
    def parts(self) -> tuple[MonomialMoments, ...]:
        """Of each group; of one group alone its own."""
        one = self.content
        return one.groups if isinstance(one, GroupedMonomials) else (one,)

    @property
    def variables(self) -> tuple[str, ...]:
        """The data columns that they know."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.names))

    @property
    def n_rows(self) -> int:
        """Rows that are in the moments."""
        return self.content.n_rows

    @property
    def n_rows_left_out(self) -> int:
        """Rows with missing values that were left out as the moments were made."""
        return sum(part.n_left_out for part in self.parts)

    @property
    def n_clusters(self) -> int:
        """Clusters; 1 of rows without clusters."""
        return self.content.n_clusters

    @property
    def nbytes(self) -> int:
        """Size of the numbers in memory, bytes (ids that are text count as eight each)."""
        return sum(
            value.nbytes
            for part in self.parts
            for value in (
                *(part.labels, part.cluster_of, part.observed, part.rows, part.means),
                *(part.within, part.lowest, part.highest, part.origin),
            )
        )

    @property
    def smallest_cluster(self) -> int:
        """Rows of the smallest cluster, which says least little of them when it is 1 or 2."""
        return min(int(np.bincount(p.cluster_of, p.rows).min()) for p in self.parts)

    def merge(self, other: Moments) -> Moments:
        """Moments of these rows and those of `other`.

        Clusters with the same id are joined. Which parts are merged first does not matter, but for
        rounding and the order of clusters. The rows of both must differ: whoever merges a part
        twice counts its rows twice.

        Parameters
        ----------
        other : Moments
            Of the same model, with the same columns of clusters.

        Returns
        -------
        Moments

        Raises
        ------
        DataError
            They are of another model, other variables or other clusters; ids are text in one and
            numbers in the other.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> model = "level: 1; y ~ x1; level: 2; y ~ w1"
        >>> old, new = data[:100], data[100:]
        >>> moments = mlsem.moments(model, old, cluster="id")
        >>> moments = moments.merge(mlsem.moments(model, new, cluster="id"))
        >>> moments.n_rows == len(data)
        True
        """
        if not isinstance(other, Moments):
            raise OptionValueError(
                "merge takes moments, such as mlsem.moments(model, data, …), not "
                f"{cell(type(other).__name__, 40)}."
            )
        for name, said in _ALIKE.items():
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise DataError(
                    f"moments with {said} {mine!r} and {theirs!r} cannot be merged: make both "
                    "by the same call of mlsem.moments, each of its own rows."
                )
        a, b = self, other
        if self.anonymous or other.anonymous:
            a, b = self.without_ids(), other.without_ids(_after(self))
        one, two = a.content, b.content
        if isinstance(one, GroupedMonomials) and isinstance(two, GroupedMonomials):
            both = merged_groups(one, two)
        elif isinstance(one, MonomialMoments) and isinstance(two, MonomialMoments):
            both = merged(one, two)
        else:
            raise DataError("moments of one group and of several cannot be merged.")
        whole = replace(a, content=both)
        return whole.without_ids() if a.anonymous else whole

    def without_ids(self, first: int = 0) -> Moments:
        """The same with numbers in place of ids, of clusters and robust clusters.

        Merged with others, no cluster is joined: one whose rows lie in both counts as two.

        Parameters
        ----------
        first : int, default 0
            The first number.

        Returns
        -------
        Moments

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> model = "level: 1; y ~ x1; level: 2; y ~ w1"
        >>> moments = mlsem.moments(model, data, cluster="id")
        >>> nameless = moments.without_ids()
        >>> nameless.merge(nameless).n_clusters
        100
        """
        if self.cluster is None:
            return self
        renamed: list[MonomialMoments] = []
        robust = [part.robust for part in self.parts]
        codes: NDArray[Any] = np.zeros(0, dtype=np.int64)
        if all(each is not None for each in robust):
            codes, _ = coded(
                np.concatenate([each.astype(object) for each in robust if each is not None]), ""
            )
        start = 0
        for part in self.parts:
            stop = start + part.n_clusters
            renamed.append(
                replace(
                    part,
                    labels=frozen(np.arange(first + start, first + stop)),
                    robust=frozen(first + codes[start:stop]) if len(codes) else None,
                )
            )
            start = stop
        content = self.content
        if isinstance(content, GroupedMonomials):
            return replace(self, content=replace(content, groups=tuple(renamed)), anonymous=True)
        return replace(self, content=renamed[0], anonymous=True)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the moments to a Parquet file, which `Moments.load` reads.

        The file has the numbers as they are, and model, options and names of columns as text. It
        has its name only when all of it is on the disk. Needs the package pyarrow.

        Parameters
        ----------
        path : str or path
        overwrite : bool, default False
            Whether a file that is there is replaced.

        Raises
        ------
        OptionValueError
            It is no name of a file; a value cannot be written.
        MlsemError
            There is a file, or the system refuses; pyarrow is missing.

        Examples
        --------
        >>> import mlsem
        >>> import os, tempfile
        >>> data = mlsem.load_example("article")
        >>> model = "level: 1; y ~ x1; level: 2; y ~ w1"
        >>> moments = mlsem.moments(model, data, cluster="id")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     moments.save(os.path.join(folder, "moments.parquet"))
        """
        from mlsem.data.kept.parquet import write  # pyarrow is for few

        write(self, path, overwrite=overwrite)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Moments:
        """Read moments that `save` has written.

        Nothing in the file is run: it has numbers and names alone.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        Moments

        Raises
        ------
        DataError
            There is no such file; it is no file of moments, of a later version, or damaged.

        Examples
        --------
        >>> import mlsem
        >>> import os, tempfile
        >>> data = mlsem.load_example("article")
        >>> model = "level: 1; y ~ x1; level: 2; y ~ w1"
        >>> moments = mlsem.moments(model, data, cluster="id")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "moments.parquet")
        ...     moments.save(path)
        ...     back = mlsem.Moments.load(path)
        >>> back.n_rows == moments.n_rows
        True
        """
        from mlsem.data.kept.parquet import read

        return Moments(**read(path))

    def __str__(self) -> str:
        rows = f"{self.n_rows} rows"
        if self.cluster is not None:
            ids = " (numbers for ids)" if self.anonymous else ""
            rows += f" in {self.n_clusters} clusters of {cell(self.cluster, 40)!r}{ids}"
        lines = [f"Moments of {rows}, {self.nbytes} bytes"]
        if isinstance(self.content, GroupedMonomials):
            sizes = zip(self.content.labels, self.content.groups, strict=True)
            shown = ", ".join(f"{cell(str(label), 30)} ({part.n_rows})" for label, part in sizes)
            lines.append(f"groups of {cell(str(self.group), 40)!r}: {shown}")
        lines.append("variables: " + ", ".join(cell(name, 40) for name in self.variables))
        products = dict.fromkeys(
            "·".join(key) for part in self.parts for key in part.keys if len(key) > 1
        )
        if products:
            lines.append("products: " + ", ".join(cell(name, 60) for name in products))
        lines.append(self._missing())
        if self.cluster is None:
            lines.append("without clusters: robust standard errors need them (cluster=)")
        elif self.smallest_cluster < 3:
            lines.append(
                f"the smallest cluster has {self.smallest_cluster} row"
                f"{'' if self.smallest_cluster == 1 else 's'}: its moments are its data"
            )
        return "\n".join(lines)

    def _missing(self) -> str:
        if self.n_rows_left_out:
            return f"missing: {self.n_rows_left_out} rows left out"
        partly = sum(int(p.rows[~p.observed.all(axis=1)].sum()) for p in self.parts)
        return f"missing: {partly} rows are incomplete" if partly else "missing: nothing"

    __repr__ = __str__


_ALIKE = {
    "model": "the model",
    "options": "the options",
    "cluster": "the clusters of",
    "group": "the groups of",
    "se_cluster": "the robust clusters of",
    "missing": "missing=",
    "auxiliary": "auxiliary=",
}
"""What parts that are merged have in common, and how an error calls it."""


def _after(moments: Moments) -> int:
    """A number that no id or robust id of anonymous moments has."""
    return moments.n_clusters
