// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAuditCourt, Opening} from "../interfaces/IAuditCourt.sol";
import {ParametersLib} from "../types/Parameters.sol";
import {CourtKeys, Namers, SecretTree} from "./CourtState.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Forced errors: which drawn verifier is told to make which entry of its digest wrong, and what that pays.
/// @notice A verifier commits to a tree of secrets, one a task, before the draw's value can be known. Secret, value and assignment tell it, and
/// nobody else, whether to err and where. Opened at the end, they tell everybody. Twin: `offchain/lockstep/dispute/forced.py`.
library ForcedErrors {
    /// @dev Height of a tree of secrets; the leaf of a task is its id modulo the leaves.
    uint256 internal constant HEIGHT = 14;
    /// @dev Tasks older than a tree that it serves for; the rest of its leaves is for newer ones.
    uint256 internal constant BEHIND = 1 << 12;
    /// @dev Largest place (step + 1) a claim can name.
    uint256 private constant MAX_PLACE = 64;
    /// @dev Each further finder divides what all get by this.
    uint256 private constant SHARE = 5;

    // Trees

    /// @notice Records a verifier's next tree. `note` is what its seat in the draws says of its last one (0: none); returns the new note.
    /// @dev A note is `number + 1 u32 | block u32 | first task u32`.
    function commit(
        mapping(bytes32 => SecretTree) storage trees,
        address verifier,
        uint256 note,
        bytes32 root,
        uint256 tasks
    ) internal returns (uint96) {
        require(root != 0, IAuditCourt.NoSecrets(verifier));
        uint256 number = note >> 64;
        if (number != 0) trees[CourtKeys.treeKey(verifier, number - 1)].until = uint64(block.number);
        trees[CourtKeys.treeKey(verifier, number)] = SecretTree(root, uint64(block.number), 0);
        uint256 first = tasks > BEHIND ? tasks - BEHIND : 0;
        emit IAuditCourt.SecretsCommitted(
            verifier, uint32(number), root, uint64(first), uint64(first + (1 << HEIGHT) - 1)
        );
        return uint96(uint256(uint32(number + 1)) << 64 | uint256(uint32(block.number)) << 32 | uint32(first));
    }

    /// @notice Whether a verifier's last tree serves for a task in a draw that counts what was there at the end of `atBlock`.
    /// @dev INVARIANT: a tree serves for as many tasks in a row as it has leaves, so no secret is used for two.
    function covers(uint256 note, uint256 task, uint256 atBlock) internal pure returns (bool) {
        uint256 first = uint32(note);
        return note != 0 && uint32(note >> 32) <= atBlock && task >= first && task < first + (1 << HEIGHT);
    }

    /// @notice Reverts unless this is the verifier's secret for the task, of the tree that was its last at the end of `atBlock`.
    function requireSecret(
        mapping(bytes32 => SecretTree) storage trees,
        address verifier,
        uint256 task,
        uint256 atBlock,
        Opening memory opening
    ) internal view {
        SecretTree memory tree = trees[CourtKeys.treeKey(verifier, opening.tree)];
        require(
            tree.since != 0 && tree.since <= atBlock && (tree.until == 0 || atBlock < tree.until),
            IAuditCourt.BadOpening("tree")
        );
        require(opening.proof.length == HEIGHT, IAuditCourt.BadOpening("proof"));
        bytes32 node = keccak256(abi.encode(opening.secret));
        for (uint256 i = 0; i < HEIGHT; ++i) {
            bytes32 sibling = opening.proof[i];
            node = task >> i & 1 == 0
                ? Hashes.efficientKeccak256(node, sibling)
                : Hashes.efficientKeccak256(sibling, node);
        }
        require(node == tree.root, IAuditCourt.BadOpening("secret"));
    }

    // What a secret says

    /// @notice Whether the verifier was told to err, and in which of `steps` entries: entry s or an earlier one with probability
    /// ((s + 1) / steps)^2, so that whoever replays only the first steps finds less than in proportion.
    function told(bytes32 secret, bytes32 value, bytes32 assignment, uint256 steps, uint256 forcedBps)
        internal
        pure
        returns (bool errs, uint256 step)
    {
        uint256 random = uint256(keccak256(abi.encode(uint256(1), secret, value, assignment)));
        errs = uint128(random) * ParametersLib.WHOLE < forcedBps << 128;
        uint256 square = (random >> 128) * steps * steps >> 128;
        while ((step + 1) * (step + 1) <= square) ++step;
    }

    /// @notice What a told verifier posts in place of its entry. It looks like any entry.
    function forcedEntry(bytes32 secret, bytes32 assignment) internal pure returns (bytes8) {
        return bytes8(keccak256(abi.encode(uint256(2), secret, assignment)));
    }

    /// @notice What a drawn verifier's claim commits to: the entry that the state has, where it is told to err.
    function commitmentOf(bytes32 secret, bytes32 assignment, bytes8 entry) internal pure returns (bytes32) {
        return keccak256(abi.encode(uint256(3), secret, assignment, entry));
    }

    // Who found it

    /// @notice Notes that a blind claim names an entry of the drawn verifier's digest; more than four finders are not told apart.
    function name(
        mapping(bytes32 => Namers) storage namers,
        bytes32 slotKey,
        uint256 round,
        uint16 index,
        uint256 place
    ) internal {
        if (place == 0 || place > MAX_PLACE) return;
        Namers storage named = namers[CourtKeys.entryKey(slotKey, round, place)];
        uint8 count = named.count;
        if (count == 4) return;
        named.claims[count] = index;
        named.count = count + 1;
    }

    /// @notice What each of `count` finders gets for a forced error, and what the verifier that made it.
    /// @dev A finder gets J, a fifth of it each if there are two, and so on; the verifier 5/4 J, a fifth of it for each finder. INVARIANT: a verifier
    /// that makes finders of its own, however many and whoever else looks, gets no more with them than without: 5/4 J / 5^n =
    /// 5/4 J / 5^(n + 1) + J / 5^n.
    function rewards(uint96 jackpot, uint256 count) internal pure returns (uint96 finder, uint96 verifier) {
        verifier = uint96(uint256(jackpot) * 5 / 4);
        if (count == 0) return (0, verifier);
        uint256 parts = SHARE ** (count - 1);
        finder = uint96(jackpot / parts);
        verifier = uint96(uint256(jackpot) / (4 * parts));
    }
}
