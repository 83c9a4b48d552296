"""Models in every form they come in: read, never changed."""

from interpkit.models._torchvision import import_timm, import_torchvision
from interpkit.models.beginning import untrained
from interpkit.models.loaded import LoadedModel
from interpkit.models.loading import load_model
from interpkit.models.preprocessing import Preprocessing

__all__ = ["LoadedModel", "Preprocessing", "import_timm", "import_torchvision", "load_model", "untrained"]
