from pathlib import Path

import pytest
from labels_on_disk import small_broden

from interpkit.errors import LabelSetError, UnknownNameError
from interpkit.labels import LabelSet, available
from interpkit.labels.manifest import read_manifest

DATASETS = Path(__file__).parents[1] / "datasets"
MANIFESTS = sorted(DATASETS.glob("*/manifest.toml"))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """./datasets and $INTERPKIT_DATA, both empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERPKIT_DATA", str(tmp_path / "data"))
    for name in ("datasets", "data"):
        (tmp_path / name).mkdir()
    return tmp_path / "datasets", tmp_path / "data"


def test_a_name_is_looked_for_here_then_in_the_data_folder(places):
    here, data = places
    small_broden(data / "town")
    assert LabelSet.open("town").root == data / "town"
    small_broden(here / "town")
    assert LabelSet.open("town").root == here / "town"


def test_an_unknown_name_lists_what_exists(places):
    small_broden(places[0] / "town")
    with pytest.raises(UnknownNameError, match=r"no label set 'twon'.*did you mean 'town'\?.*There is") as caught:
        LabelSet.open("twon")
    assert "broden" in str(caught.value), "the package's own sets are on offer everywhere"


def test_a_manifest_alone_says_where_to_download(places):
    with pytest.raises(
        LabelSetError, match=r"'broden' is not on this machine; download .*broden1_224.zip.*data/broden"
    ):
        LabelSet.open("broden")


def test_a_download_is_read_by_the_manifest_that_came_with_the_package(places):
    small_broden(places[1] / "broden/broden1_224")
    labels = LabelSet.open("broden")
    assert labels.root == places[1] / "broden/broden1_224"
    assert labels.name == "broden"
    assert "CVPR 2017" in labels.citation


def test_a_manifest_that_does_not_fit_its_folder(tmp_path):
    small_broden(tmp_path)
    (tmp_path / "manifest.toml").write_text('layout = "voc-segmentation"')
    with pytest.raises(LabelSetError, match="does not hold what its manifest says, layout voc-segmentation"):
        LabelSet.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("licence = ", "is no TOML"),
        ("ignor = 2", "unknown key ignor; did you mean ignore?"),
        ('license = "MIT"', "did you mean licence?"),
        ("licence = 3", "licence must be a text"),
        ('grid = "112"', "grid must be two whole numbers"),
        ("grid = [112, 0]", "grid must be two whole numbers"),
        ("ignore = true", "ignore must be a label number"),
        ('categories = "part"', "categories must be a list"),
        ('images = "/etc"', "images must be a path inside"),
        ('root = "../.."', "root must be a path inside"),
        ("classes = 3", "classes must be a path inside"),
        ('synthetic = "yes"', "synthetic must be true or false"),
        ("size = [224]", "size must be two whole numbers"),
        ('model_index.cat = "1"', "model_index must map"),
        ("downloads = 3", "downloads must be tables"),
        ("[[downloads]]\nmd5 = 'x'", "a download needs a url"),
        ("[[downloads]]\nurl = 'x'\ncrc = 'y'", "unknown key downloads.crc"),
        ("[[downloads]]\nurl = 'ftp://a/b.zip'", "must begin with https:// or http://"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nmirrors = 'https://c/b.zip'", "mirrors must be a list"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nmirrors = ['c']", "must begin with https:// or http://"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nbytes = 0", "bytes must be a whole number >= 1"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nresolution = '224'", "resolution must be a whole number"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nmd5 = 'be13'", "md5 must be 32 hexadecimal digits"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nnote = 1", "note must be a text"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nunpacks_to = '../b'", "unpacks_to must be a folder inside"),
        ("[[downloads]]\nurl = 'https://a/b.zip'\nunpacks_to = '.'", "unpacks_to must be a folder inside"),
        ('layout = "brodn"', "unknown layout 'brodn' in the manifest; there is broden"),
    ],
)
def test_a_manifest_at_fault(tmp_path, text, says):
    small_broden(tmp_path)
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(LabelSetError) as caught:
        LabelSet.open(tmp_path)
    assert says in str(caught.value)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_every_manifest_of_ours_states_layout_licence_and_citation(path):
    manifest = read_manifest(path.parent)
    assert manifest["name"] == path.parent.name
    for key in ("title", "layout", "licence", "citation"):
        assert manifest[key].strip(), key


def test_what_is_available(places):
    here, data = places
    small_broden(here / "town")
    (data / "broken").mkdir()
    (data / "broken/manifest.toml").write_text('layout = "broden"\nlicence = "CC0"\n')
    (data / "cache").mkdir()
    found = {item.name: item for item in available()}
    assert {"town", "broken", "broden"} <= set(found)
    assert "cache" not in found
    town = found["town"]
    assert (town.where, town.layout, town.images, town.concepts, town.present) == (here / "town", "broden", 3, 7, True)
    assert (found["broken"].present, found["broken"].licence, found["broken"].images) == (False, "CC0", None)
    assert not found["broden"].present
    assert "download" in found["broden"].note


def test_the_embedded_default_opens_by_its_name(places):
    root = DATASETS / "broden-mini"
    if not (root / "index.csv").is_file():
        pytest.skip("broden-mini is not built")
    labels = LabelSet.open("broden-mini")
    assert (labels.layout, labels.grid) == ("broden", (112, 112))
    assert set(labels.categories) == {"object", "part", "scene", "material", "texture", "color"}
    assert labels.classes is not None
    assert labels.landmarks is not None
    for i in range(0, len(labels), 40):
        assert labels.image(i).size == (224, 224)
        assert labels.labels(i).annotated[labels.categories.index("color")]
