"""What tests of the command line share: a home folder on a chain, and the commands run there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner, Result

from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment
from lockstep.chain.lockstep import Lockstep
from lockstep.cli.keys import well_known_key
from lockstep.cli.main import app
from lockstep.cli.options import Role
from lockstep.storage.store import ArtifactStore

TINY = """
import numpy as np
from torch import nn
from lockstep.data import Dataset
from lockstep.program.optimisers import SGD

def build():
    pixels = (np.arange(48 * 6).reshape(48, 6) * 7 % 17).astype(np.uint8)
    data = Dataset(pixels, (pixels.sum(1) % 3).astype(np.uint8), 1 / 16)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return model, nn.CrossEntropyLoss(), SGD(lr=0.1), data, data
"""
"""A task of a few thousand operations a step."""


@dataclass(frozen=True)
class Bench:
    """A home folder on a chain, and the commands run there."""

    node: Anvil
    home: Path
    deployment: Deployment

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find the chain and the folders."""
        return {"LOCKSTEP_RPC": self.node.url, "LOCKSTEP_HOME": str(self.home)}

    def run(self, *arguments: object, code: int = 0) -> Result:
        """Run one command; it ends with ``code``."""
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=self.environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def refuse(self, *arguments: object) -> str:
        """Run one command that cannot be done; the sentence on stderr, in one line."""
        result = self.run(*arguments, code=1)
        assert "Traceback" not in result.output
        assert result.stderr.splitlines()[-1].startswith("error: ")
        return result.stderr.splitlines()[-1]

    def submit(self, *options: object) -> int:
        """Post the tiny task; its number."""
        file = self.home / "train.py"
        if not file.exists():
            file.write_text(TINY)
        self.run("submit", f"{file}:build", "--batch-size", 4, "--seed", 5, "--yes", *options)
        return max(posted.terms.id for posted in self.lockstep(Role.SUBMITTER).tasks())

    def lockstep(self, role: Role) -> Lockstep:
        """The contracts as a role sees them."""
        return Lockstep(Client(self.node.url, well_known_key(role)), self.deployment)

    @property
    def store(self) -> ArtifactStore:
        """The store the commands use."""
        return ArtifactStore(str(self.home / "store"))

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start one command as a process of its own, which Ctrl-C stops also where the tests run in the background."""
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        return subprocess.Popen(
            [sys.executable, "-c", code + "from lockstep.cli.main import app; app()", *map(str, arguments)],
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
