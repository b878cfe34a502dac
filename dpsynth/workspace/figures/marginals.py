"""`marginals`: the fitted rows in cells that the released rows decide; how near are they to each other?

Counted are the rows that the generator saw: of each unit at most k, chosen by that unit's rows and the reservation's
own key. Planted canaries are not among them. Which columns and pairs are counted follows from the release and the
declared target (`dpsynth.quality.published.cells`), never from what is bad on private rows.

Theorem. With M marginals and a unit of at most k rows the counts change by at most k M in L1 when a unit is added or
removed, and by 2 k M when one is replaced: each of a unit's rows adds one to one cell of each marginal, by its own
cells and released things alone. The release is fixed when the counts are asked for, and an output of mechanisms already
charged, which composition covers; the parts are decided by coins under which neighbours are split alike. Event: one
discrete Laplace on all counts, of scale k M / epsilon (2 k M / epsilon under replace-one), under the budget's relation
and unit.

Not guaranteed: that prose is near; a column of texts is not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.data.table import Table
from dpsynth.quality.published.cells import cells_of
from dpsynth.workspace.private.bounding import bounded

if TYPE_CHECKING:
    from dpsynth.data.engines.warehouse import EngineTable
    from dpsynth.workspace.draft import Draft
    from dpsynth.workspace.figures.figure import Asked
    from dpsynth.workspace.private.split import Split


def asked(draft: Draft) -> Asked:
    """What a figure of marginals counts, from the sealed rows and the declared schema.

    Raises:
        ParameterError: the draft has no column but a text.
    """
    from dpsynth.workspace.figures.figure import Asked

    schema, text, terms = draft.schema, draft.document.text, draft.guarantee
    unit = draft.unit if terms is None else terms.unit
    out = tuple(name for name in (unit.column, None if text is None else text.column) if name is not None)
    released = Table.from_arrow(draft.rows())
    cells = cells_of(released, target=schema.target, leave_out=out)
    if not cells.marginals:
        raise ParameterError("The draft has no column whose values could be counted.", "Prose is not counted.")
    key = draft.workspace.secret(f"bound/{draft.document.reservation_id}")

    def count(parts: Split[Table] | Split[EngineTable], /) -> NDArray[np.int64]:
        return cells.count(bounded(parts.train, unit, key, schema.order))

    facts = {
        "marginals": [list(names) for names in cells.marginals],
        "sizes": list(cells.sizes),
        "unseen": list(cells.unseen),
        "released": cells.count(released).tolist(),
    }
    change = unit.max_records * len(cells.marginals)
    return Asked(change=change, facts=facts, count=count, codecs=cells.codecs, check=cells.check)
