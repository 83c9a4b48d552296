"""What calls several of the functions: one network before and after."""

from interpkit.studies._before_after import before_after

__all__ = ["before_after"]
