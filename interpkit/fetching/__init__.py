"""Label sets from where their authors keep them: downloaded in parts, checked, and unpacked without trust."""

from interpkit.fetching.archives import ArchiveError
from interpkit.fetching.getting import Fetch, fetch, plan
from interpkit.fetching.offers import Download, Offer, offered
from interpkit.fetching.sizes import size_text
from interpkit.fetching.transfer import Patience, TransferError

__all__ = [
    "ArchiveError",
    "Download",
    "Fetch",
    "Offer",
    "Patience",
    "TransferError",
    "fetch",
    "offered",
    "plan",
    "size_text",
]
