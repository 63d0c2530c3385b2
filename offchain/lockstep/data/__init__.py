"""Real data sets, as arrays that become constants of a program."""

from lockstep.data.digits import digits
from lockstep.program.selection import Dataset

__all__ = ["Dataset", "digits"]
