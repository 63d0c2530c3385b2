// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, Opening} from "../../../contracts/interfaces/IAuditCourt.sol";
import {TaskOffer, TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Scene} from "./Scene.sol";
import {TestTree} from "./TestTree.sol";
import {console} from "forge-std/console.sol";

/// @title What an honest task costs from submit to settle, two audits included.
/// @dev Transactions, not calls: intrinsic gas and calldata are in it, refunds are taken off, every slot is cold at the start of each.
/// forge-config: default.isolate = true
abstract contract CleanTaskGas is Scene {
    uint256 private _total;

    function _run() internal returns (uint256) {
        // As on a chain in use: the counters and the treasury's balance are not zero.
        stake(address(treasury), 1);
        vm.prank(address(treasury));
        vault.requestWithdrawal(1);
        token.approve(address(vault), type(uint256).max);
        token.drip(1);
        vault.credit(address(treasury), 1, "");

        TaskOffer memory offer = defaultOffer();
        terms = submitOffer(offer);
        _note("submit");
        vm.prank(solver);
        market.acceptAndAcknowledge(terms);
        _note("acceptAndAcknowledge");

        uint256 count = 5;
        for (uint256 i = 0; i < count; ++i) {
            checkpoints.push(honestEnd(i));
        }
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        workRoot = TestTree.root(leaves);
        bytes32[] memory proof = TestTree.prove(leaves, count - 1);
        vm.prank(solver);
        market.commit(terms, workRoot, checkpoints[count - 1], proof, "file://work");
        _note("commit");
        terms.workRoot = workRoot;

        // The value is known, and so is who will be drawn: the first of them draws and claims at once.
        rollToValue();
        uint256 before = vm.snapshotState();
        court.drawAudits(terms);
        vm.snapshotGasLastCall("drawAudits");
        uint32[] memory segments = drawnSegments();
        ClaimBody memory body = _body(segments[0]);
        address first = verifierOf(segments[0]);
        vm.revertToState(before);
        proof = checkpointProof(segments[0]);
        vm.prank(first);
        court.drawAndClaim(terms, segments[0], body, proof);
        _note("drawAndClaim");

        body = _body(segments[1]);
        proof = checkpointProof(segments[1]);
        vm.prank(verifierOf(segments[1]));
        court.postClaim(terms, segments[1], body, proof);
        _note("postClaim");

        passUnblindWindow(segments[0]);
        market.settle(terms);
        _note("settle");
        assertTask(TaskState.Settled);
        if (numbers.forcedBps != 0) {
            for (uint256 i = 0; i < 2; ++i) {
                Opening memory opening = openingFor(segments[i], _body(segments[i]));
                court.openSecret(terms, opening);
                _note("openSecret");
            }
        }
        console.log("total", _total);
        return _total;
    }

    /// @dev A right claim whose bytes are as dear as random ones.
    function _body(uint32 segment) private view returns (ClaimBody memory body) {
        body = drawnBody(segment, honestEnd(segment));
        for (uint256 j = 0; j < body.digest.length; ++j) {
            body.digest[j] = 0x5a;
        }
    }

    function _note(string memory kind) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        vm.snapshotGasLastCall(kind);
        console.log(kind, used);
        _total += used;
    }
}

/// @dev Without forced errors.
/// forge-config: default.isolate = true
contract CleanTaskGasTest is CleanTaskGas {
    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        p.marginBps = 0; // as deployments have it
    }

    uint256 internal constant LIMIT = 695_000;

    function test_cleanTask_gas_isBelowTheLimit() public {
        uint256 total = _run();
        assertLe(total, LIMIT);
        vm.snapshotValue("cleanTask", total);
    }
}

/// @dev With them, neither verifier being told: each opens its secret, in a transaction of its own.
/// forge-config: default.isolate = true
contract ForcedTaskGasTest is CleanTaskGas {
    uint256 internal constant LIMIT = 930_000;

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        (p.forcedBps, p.jackpotMultiple, p.openingWindow, p.marginBps) = (1, 13, 1 days, 0);
    }

    function test_cleanTask_withSecretsOpened_gas_isBelowTheLimit() public {
        uint256 total = _run();
        assertLe(total, LIMIT);
        vm.snapshotValue("cleanTask", total);
    }
}
