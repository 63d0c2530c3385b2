// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SlotState} from "../interfaces/IAuditCourt.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @notice A drawn or called-up segment, one word.
/// @dev INVARIANT: a drawn verifier's claim is in `marks` as long as it is the only one of its round; with the first other claim it gets a
/// head of its own, and its stake becomes an engagement. So a claim that nobody answers costs two words less, and is never convicted.
struct SlotRecord {
    SlotState state;
    uint8 round;
    address verifier;
    uint32 claimDeadline; // seconds; enough until 2106
    uint16 claims; // places, from the first other claim on; before that 0 as long as the tasks' pool holds the drawn verifier's stake, then 1
    uint16 openDisputes;
    uint16 marks; // while drawn: `CourtKeys.POSTED`, `PASSES` or 0; once final: index + 1 of the standing claim, or `MALFORMED`
}

/// @notice What is judged of a claim, one word.
struct ClaimHead {
    address claimant;
    uint40 order;
    bool passes;
    bool convicted;
    bool digestConvicted;
    uint16 openDisputes;
}

/// @notice How a claim's digest was convicted, one word.
struct DigestVerdict {
    address finder;
    uint8 place; // step + 1 of the entry proven wrong; 0: convicted by silence, or by a wrong state
    bytes8 entry; // what it should have been
}

/// @notice A claim.
struct ClaimData {
    ClaimHead head;
    bytes32 bodyHash;
    bytes32 endRoot; // zero when it passes
    DigestVerdict digest;
}

/// @notice What a segment's redraws need to know.
struct RedrawRecord {
    uint8 misses; // rounds whose drawn verifier was silent, and nobody condemned the work
    uint40 deadline; // of the redraw that is due
    uint32 extension; // seconds by which data demands moved the claim deadline of the round
}

/// @notice Who showed that a segment's start is malformed, or withheld.
struct Report {
    address by;
    address first; // who comes before it, if anybody: the drawn verifier, or the treasury in its place
}

/// @notice A look through the claims of a round: first for the one that stands, then for the finders that share its end root. Kept once a
/// segment is final with more than one claim.
struct Scan {
    uint32 cursor; // claims looked at; each counts twice
    uint16 standing; // index + 1 of the first unconvicted claim so far
    uint16[4] finders; // index + 1 of the first four that share its end root, in order; 0: none
}

/// @notice One of a verifier's trees of secrets: a leaf a task.
struct SecretTree {
    bytes32 root;
    uint64 since; // block it was committed in
    uint64 until; // block the next was committed in; 0: it is the last
}

/// @notice Claims that name the same entry of the drawn verifier's digest, the first four that were opened.
struct Namers {
    uint8 count;
    uint16[4] claims;
}

/// @notice The court's books about segments and claims.
struct CourtState {
    mapping(bytes32 slotKey => SlotRecord) slots;
    mapping(bytes32 slotKey => RedrawRecord) redraws;
    mapping(bytes32 claimKey => ClaimData) claims;
    mapping(bytes32 slotKey => Scan) scans;
    mapping(bytes32 slotKey => Report) reports;
    mapping(bytes32 treeKey => SecretTree) trees;
    mapping(bytes32 entryKey => Namers) namers;
    mapping(bytes32 callKey => uint32) calls; // segments called up, by task and number
}

/// @title Keys of segments, claims, deposits and draws.
library CourtKeys {
    /// @dev Marks of a drawn segment whose verifier claims another end root, or the checkpoint.
    uint16 internal constant POSTED = 1;
    uint16 internal constant PASSES = 2;
    /// @dev Mark of a segment whose start was malformed or withheld; it has no standing claim.
    uint16 internal constant MALFORMED = type(uint16).max;
    /// @dev Round of a segment that was not drawn but called up: its only one.
    uint8 internal constant CALLED = type(uint8).max;

    function slotKey(uint256 task, uint256 segment) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(bytes32(task), bytes32(segment));
    }

    function claimKey(bytes32 slot, uint256 round, uint256 index) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(slot, bytes32(round << 16 | index));
    }

    /// @notice Engagement of a claimant's deposit and bond: one an account, segment and round.
    function engagement(bytes32 slot, uint256 round, address claimant) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(slot, bytes32(round << 160 | uint160(claimant)));
    }

    /// @notice A verifier's tree of secrets, by number.
    function treeKey(address verifier, uint256 number) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(bytes32(uint256(uint160(verifier))), bytes32(number));
    }

    /// @notice Entry of the drawn verifier's digest: `place` is its step + 1.
    function entryKey(bytes32 slot, uint256 round, uint256 place) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(slot, bytes32(round << 8 | place));
    }

    /// @notice A task's called-up segment, by number.
    function callKey(uint256 task, uint256 number) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(bytes32(task), bytes32(number));
    }

    /// @notice Beacon key of a segment's draw in a later round; the first round's value is the task's, under the market's key.
    function beaconKey(bytes32 slot, uint256 round) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(slot, bytes32(round));
    }
}
