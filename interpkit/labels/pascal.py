"""PASCAL VOC's twenty classes, and the parts that PASCAL-Part draws of them (Chen et al., CVPR 2014)."""

import re
from collections.abc import Mapping

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)

# Parts of six animals are merged as for part interpretability (Zhang et al., CVPR 2018, section 5.2.1), where a tail
# of a cow, horse or sheep is no part.
_BIRD = {
    "head": "head leye reye beak",
    "torso": "torso neck lwing rwing",
    "legs": "lleg lfoot rleg rfoot",
    "tail": "tail",
}
_PAWED = {
    "head": "head leye reye lear rear nose muzzle",
    "torso": "torso neck",
    "front legs": "lfleg lfpa rfleg rfpa",
    "back legs": "lbleg lbpa rbleg rbpa",
    "tail": "tail",
}
_HOOFED = {
    "head": "head leye reye lear rear muzzle lhorn rhorn",
    "torso": "torso neck",
    "front legs": "lfuleg lflleg rfuleg rflleg lfho rfho",
    "back legs": "lbuleg lblleg rbuleg rblleg lbho rbho",
    "": "tail",
}
_MERGED = {"bird": _BIRD, "cat": _PAWED, "cow": _HOOFED, "dog": _PAWED, "horse": _HOOFED, "sheep": _HOOFED}

_VEHICLE = (
    "frontside leftside rightside backside roofside leftmirror rightmirror fliplate bliplate door wheel headlight "
    "window"
)
_SINGLE = {
    "aeroplane": "body stern lwing rwing tail engine wheel",
    "bicycle": "fwheel bwheel saddle handlebar chainwheel headlight",
    "bottle": "cap body",
    "bus": _VEHICLE,
    "car": _VEHICLE,
    "motorbike": "fwheel bwheel handlebar saddle headlight",
    "person": "head leye reye lear rear lebrow rebrow nose mouth hair torso neck llarm luarm lhand rlarm ruarm rhand "
    "llleg luleg lfoot rlleg ruleg rfoot",
    "pottedplant": "pot plant",
    "train": "head hfrontside hleftside hrightside hbackside hroofside headlight coach cfrontside cleftside "
    "crightside cbackside croofside",
    "tvmonitor": "screen",
}
_WORDS = {
    **{"lwing": "left wing", "rwing": "right wing", "fwheel": "front wheel", "bwheel": "back wheel"},
    **{"frontside": "front side", "leftside": "left side", "rightside": "right side", "backside": "back side"},
    **{"roofside": "roof side", "leftmirror": "left mirror", "rightmirror": "right mirror"},
    **{"fliplate": "front licence plate", "bliplate": "back licence plate"},
    **{"leye": "left eye", "reye": "right eye", "lear": "left ear", "rear": "right ear"},
    **{"lebrow": "left eyebrow", "rebrow": "right eyebrow", "lhand": "left hand", "rhand": "right hand"},
    **{"llarm": "left lower arm", "luarm": "left upper arm", "rlarm": "right lower arm", "ruarm": "right upper arm"},
    **{"llleg": "left lower leg", "luleg": "left upper leg", "rlleg": "right lower leg", "ruleg": "right upper leg"},
    **{"lfoot": "left foot", "rfoot": "right foot"},
    **{"hfrontside": "head front side", "hleftside": "head left side", "hrightside": "head right side"},
    **{"hbackside": "head back side", "hroofside": "head roof side"},
    **{"cfrontside": "coach front side", "cleftside": "coach left side", "crightside": "coach right side"},
    **{"cbackside": "coach back side", "croofside": "coach roof side"},
}


def _parts() -> dict[str, dict[str, str]]:
    """For each class with parts: code -> name of the part, '' for one that is left out."""
    merged = {
        name: {code: part for part, codes in groups.items() for code in codes.split()}
        for name, groups in _MERGED.items()
    }
    single = {name: {code: _WORDS.get(code, code) for code in codes.split()} for name, codes in _SINGLE.items()}
    return merged | single


PARTS: Mapping[str, Mapping[str, str]] = _parts()


def part_name(of: str, code: str) -> str | None:
    """Name the part that PASCAL-Part codes as ``code``; '' for one that is left out, None for none of class ``of``.

    Parts of which an object has several are numbered in the code, and go by one name.

    Examples
    --------
    >>> part_name("bird", "reye"), part_name("car", "wheel_2"), part_name("cow", "tail"), part_name("sofa", "leg")
    ('head', 'wheel', '', None)
    """
    return PARTS.get(of, {}).get(re.sub(r"_\d+$", "", code))
