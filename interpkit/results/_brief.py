"""What a result says of itself in one line, in place of all its arrays."""

from typing import Any

from interpkit.strangers import visible


class Brief:
    """A result that introduces itself: a notebook keeps this line beside what ``_repr_html_`` shows."""

    def __repr__(self) -> str:
        """Kind, network, layer and label set."""
        result: Any = self
        made = result.provenance
        return visible(f"<{type(self).__name__} of {made.model}, {result.layer}, on {made.labels}>")


class OfLayer(Brief):
    """A result of one layer, of which a run may have several."""

    @property
    def order(self) -> int:
        """Place of this layer among those of the same run."""
        result: Any = self
        asked = result.provenance.options.get("layers")
        # What a file says was asked for may be anything.
        layers = list(asked) if isinstance(asked, list | tuple) else [result.layer]
        return layers.index(result.layer) if result.layer in layers else len(layers)
