"""The local node: it runs with osaka's rules, moves time, and ends."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3RPCError

from lockstep.chain import anvil as module
from lockstep.chain.anvil import Anvil, AnvilError, find_anvil

OSAKA_TRANSACTION_GAS_LIMIT = 1 << 24


def test_accounts_known_keys_match_addresses_and_are_funded(anvil: Anvil) -> None:
    web3 = Web3(HTTPProvider(anvil.url))
    assert len(anvil.accounts) == 20
    for account in anvil.accounts:
        assert Account.from_key(account.key).address == account.address
        assert web3.eth.get_balance(account.address) == 10_000 * 10**18
    assert web3.eth.chain_id == anvil.chain_id


def test_rules_clz_opcode_is_known(anvil: Anvil) -> None:
    # PUSH1 1, CLZ, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN: osaka's opcode 0x1e, run as creation code
    answer = anvil.rpc("eth_call", {"data": "0x60011e5f5260205ff3"}, "latest")
    assert int(answer, 16) == 255


@pytest.mark.parametrize(
    ("gas", "accepted"), [(OSAKA_TRANSACTION_GAS_LIMIT, True), (OSAKA_TRANSACTION_GAS_LIMIT + 1, False)]
)
def test_rules_transaction_gas_limit_is_enforced(anvil: Anvil, gas: int, accepted: bool) -> None:
    web3 = Web3(HTTPProvider(anvil.url))
    sender = Account.from_key(anvil.accounts[0].key)
    transaction = {"to": sender.address, "gas": gas, "gasPrice": 2 * 10**9, "nonce": 0, "chainId": anvil.chain_id}
    raw = sender.sign_transaction(transaction).raw_transaction
    if accepted:
        receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw), timeout=20)
        assert receipt["status"] == 1
    else:
        with pytest.raises(Web3RPCError):
            web3.eth.send_raw_transaction(raw)


def test_advance_time_by_a_day_moves_the_latest_block(anvil: Anvil) -> None:
    before = anvil.now()
    anvil.advance_time(86_400)
    assert 86_400 <= anvil.now() - before <= 86_400 + 60


def test_advance_time_backwards_is_refused(anvil: Anvil) -> None:
    with pytest.raises(ValueError, match="forward"):
        anvil.advance_time(0)


def test_mine_blocks_raises_the_height(anvil: Anvil) -> None:
    before = int(anvil.rpc("eth_blockNumber"), 16)
    anvil.mine(7)
    assert int(anvil.rpc("eth_blockNumber"), 16) == before + 7


def test_restore_after_change_returns_to_the_snapshot(anvil: Anvil) -> None:
    address = anvil.accounts[3].address
    snapshot = anvil.snapshot()
    anvil.set_balance(address, 5)
    assert int(anvil.rpc("eth_getBalance", address, "latest"), 16) == 5
    anvil.restore(snapshot)
    assert int(anvil.rpc("eth_getBalance", address, "latest"), 16) == 10_000 * 10**18
    with pytest.raises(AnvilError, match="once"):
        anvil.restore(snapshot)


def test_rpc_unknown_method_raises_with_its_name(anvil: Anvil) -> None:
    with pytest.raises(AnvilError, match="no_such_method"):
        anvil.rpc("no_such_method")


def test_close_running_node_stops_answering() -> None:
    with Anvil(accounts=1, chain_id=77) as node:
        assert int(node.rpc("eth_chainId"), 16) == 77
        url = node.url
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)
    node.close()


def test_long_chain_leaves_nothing_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with Anvil(accounts=1) as node:
        for height in range(1, 1_201):  # beyond what anvil keeps in memory when left alone
            node.mine()
            if height % 300 == 0:
                lookback = hex(height - 200)
                assert int(node.rpc("eth_getBalance", node.accounts[0].address, lookback), 16) == 10_000 * 10**18
        assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_start_bad_option_raises_what_anvil_said() -> None:
    with pytest.raises(AnvilError, match="no-such-option"):
        Anvil(options=["--no-such-option"])


def test_find_anvil_too_old_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "anvil"
    old.write_text("#!/bin/sh\necho 'anvil Version: 1.2.3-stable'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_anvil() != old
    old.write_text("#!/bin/sh\necho 'anvil Version: 1.10.0-stable'\n")
    assert find_anvil() == old


def test_find_anvil_nowhere_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "_REPOSITORY", tmp_path)
    with pytest.raises(AnvilError, match="scripts/setup"):
        find_anvil()


def test_scripts_and_package_agree_on_the_oldest_foundry() -> None:
    library = Path(__file__).parents[3] / "scripts" / "lib.sh"
    said = subprocess.run(
        ["bash", "-c", f". {library}; echo $FOUNDRY_MINIMUM"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert tuple(map(int, said.split("."))) == module.MINIMUM_VERSION
