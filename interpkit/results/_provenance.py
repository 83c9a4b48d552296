"""How a result was made: enough to repeat it and to tell two runs apart."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# What JSON calls the whole of the seconds, among those of the stages.
_TOTAL = "total"


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from.

    Attributes
    ----------
    verb, command
        What was computed ("dissect"), and the command line that repeats it.
    options
        The keyword arguments as asked for ("auto" stays "auto"), without those that cannot change the result.
    model, model_sha, labels, labels_sha
        Names and content hashes of the network and the label set.
    preprocessing
        Size, mean, std, interpolation of the network's input and where they come from.
    versions
        interpkit, torch, numpy, ... as imported.
    seed, device, batch_size, memory_format, threads
        What the pass ran with. Results are bit-identical when these are equal.
    when, seconds
        Start (ISO 8601, UTC) and duration; of a run that was killed and went on, of its last part.
    stages
        Seconds of each stage of the run.
    labels_content
        A digest of the bytes of all images and label files looked at (`interpkit.labels.content`); '' where unknown.
    notes
        What the reader must be told: random weights, assumed preprocessing, where maps were kept.
    """

    verb: str
    command: str
    options: Mapping[str, Any]
    model: str
    model_sha: str
    labels: str
    labels_sha: str
    preprocessing: Mapping[str, Any]
    versions: Mapping[str, str]
    seed: int
    device: str
    batch_size: int
    memory_format: str
    threads: int
    when: str
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    labels_content: str = ""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the result; equal for the same run asked for again."""
        return self._fingerprint(self.options)

    def is_of(self, planned: str) -> bool:
        """Whether a run with this fingerprint would give this result: as asked for, or as it was fed in the end."""
        fed = {"batch_size": self.batch_size, "memory_format": self.memory_format, "threads": self.threads}
        return planned in {self.fingerprint, self._fingerprint({**self.options, **fed})}

    def _fingerprint(self, options: Mapping[str, Any]) -> str:
        return fingerprint(
            self.verb,
            options=options,
            model_sha=self.model_sha,
            labels_sha=self.labels_sha,
            preprocessing=self.preprocessing,
            version=self.versions.get("interpkit", ""),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; all that two equal runs differ in is ``when`` and ``seconds``."""
        values = asdict(self)
        stages = values.pop("stages")
        return {**values, "seconds": {_TOTAL: self.seconds, **stages}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Provenance":
        """The inverse of ``to_dict``, which once wrote ``seconds`` as a number and ``stages`` beside it."""
        stages = dict(values.get("stages", {}))
        seconds = values["seconds"]
        if isinstance(seconds, Mapping):
            stages = {name: value for name, value in seconds.items() if name != _TOTAL}
            seconds = seconds[_TOTAL]
        return cls(**{**values, "seconds": seconds, "stages": stages, "notes": tuple(values.get("notes", ()))})


def fingerprint(
    verb: str,
    *,
    options: Mapping[str, Any],
    model_sha: str,
    labels_sha: str,
    preprocessing: Mapping[str, Any],
    version: str,
) -> str:
    """SHA-256 over what decides a result: the verb, its options, the weights, the labels, the input, the version."""
    parts = [verb, options, model_sha, labels_sha, preprocessing, version]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
