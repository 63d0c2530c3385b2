// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt} from "../interfaces/IAuditCourt.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {CourtState} from "./CourtState.sol";
import {ForcedErrors} from "./ForcedErrors.sol";
import {SortitionTree} from "./SortitionTree.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title How verifiers enter and leave the draws. The court's code in a library of its own, for its size.
library Registration {
    using SortitionTree for SortitionTree.Tree;

    /// @notice Body of `IAuditCourt.registerVerifier`.
    /// @param most Stake it may be weighed by, token base units.
    /// @param unit Stake of one unit of weight.
    /// @param told Whether verifiers may be told to err, and so need secrets.
    function register(
        SortitionTree.Tree storage tree,
        IStakeVault vault,
        address verifier,
        uint96 most,
        uint256 unit,
        bool told
    ) external {
        // INVARIANT: stake on duty becomes less with notice only.
        uint256 duty = tree.weightOf(verifier) * unit;
        uint256 stake = Math.min(vault.freeStakeOf(verifier), Math.max(most, duty));
        require(stake >= unit, IAuditCourt.TooLittleStake(stake, unit));
        require(!told || tree.noteOf(verifier) != 0, IAuditCourt.NoSecrets(verifier));
        _setWeight(tree, vault, verifier, stake / unit, true);
    }

    /// @notice Body of `IAuditCourt.commitSecrets`.
    function commitSecrets(
        CourtState storage state,
        SortitionTree.Tree storage tree,
        address verifier,
        bytes32 root,
        uint256 tasks
    ) external {
        uint96 note = ForcedErrors.commit(state.trees, verifier, tree.noteOf(verifier), root, tasks);
        tree.setNote(verifier, note);
    }

    /// @notice Body of `IAuditCourt.retireVerifier`.
    function retire(SortitionTree.Tree storage tree, IStakeVault vault, address verifier) external {
        if (tree.weightOf(verifier) == 0) return;
        // INVARIANT: whoever could be drawn when a task was accepted stays in the draws for as long as notice takes.
        if (vault.endNotice(verifier)) _setWeight(tree, vault, verifier, 0, false);
    }

    /// @notice Body of `IAuditCourt.refreshVerifier`.
    function refresh(SortitionTree.Tree storage tree, IStakeVault vault, address verifier, uint256 unit) external {
        uint256 weight = vault.freeStakeOf(verifier) / unit;
        if (weight < tree.weightOf(verifier)) _setWeight(tree, vault, verifier, weight, false);
    }

    function _setWeight(
        SortitionTree.Tree storage tree,
        IStakeVault vault,
        address verifier,
        uint256 weight,
        bool stays
    ) private {
        if (weight > SortitionTree.MAX_WEIGHT) weight = SortitionTree.MAX_WEIGHT;
        tree.set(verifier, weight);
        emit IAuditCourt.VerifierRegistered(verifier, uint64(weight));
        vault.setDuty(verifier, uint32(weight), stays);
    }
}
