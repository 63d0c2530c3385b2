// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimRecord, ClaimRef} from "../interfaces/IAuditCourt.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ClaimData, ClaimHead, CourtKeys, CourtState, SlotRecord} from "./CourtState.sol";

/// @title What the court's books say of a claim. The court's code in a library of its own, for its size.
library ClaimReader {
    /// @notice Body of `IAuditCourt.claimOf`; what it returns is encoded.
    function claimOf(CourtState storage state, IStakeVault vault, ClaimRef calldata ref)
        external
        view
        returns (bytes memory)
    {
        bytes32 slotKey = CourtKeys.slotKey(ref.task, ref.segment);
        ClaimData memory claim = state.claims[CourtKeys.claimKey(slotKey, ref.round, ref.index)];
        ClaimHead memory head = claim.head;
        SlotRecord memory slot = state.slots[slotKey];
        if (head.claimant == address(0) && claim.bodyHash != 0) {
            // A lone claim: only a round's first claimant has one, and only the last round's can still be lone.
            head.claimant = slot.verifier;
            head.passes = claim.endRoot == 0;
        }
        bool held = slot.claims == 0 && slot.round == ref.round && ref.index == 0;
        (address account,) = vault.engagementOf(address(this), CourtKeys.engagement(slotKey, ref.round, head.claimant));
        return abi.encode(
            ClaimRecord({
                bodyHash: claim.bodyHash,
                endRoot: claim.endRoot,
                claimant: head.claimant,
                order: head.order,
                passes: head.passes,
                convicted: head.convicted,
                digestConvicted: head.digestConvicted,
                closed: head.claimant != address(0) && account == address(0) && !held,
                openDisputes: head.openDisputes,
                digestFinder: claim.digest.finder
            })
        );
    }
}
