// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ForcedErrors} from "../../../contracts/audit/ForcedErrors.sol";
import {Deployment} from "./Deployment.sol";

/// @title Verifiers' secrets, and what they tell.
abstract contract Secrets is Deployment {
    /// @dev What every entry of a digest should be, says whoever is asked.
    bytes8 internal constant RIGHT = 0x1122334455667788;

    /// @dev Changed between two trees of all verifiers.
    uint256 internal salt;

    /// @dev A verifier's secret for a task; all tasks' are equal but in tests that look at that.
    function secretOf(address verifier, uint256 salt_) internal pure returns (bytes32) {
        return keccak256(abi.encode("secret", verifier, salt_));
    }

    function siblings() internal pure returns (bytes32[] memory proof) {
        proof = new bytes32[](ForcedErrors.HEIGHT);
        for (uint256 i = 0; i < proof.length; ++i) {
            proof[i] = keccak256(abi.encode("sibling", i));
        }
    }

    /// @dev Root of a tree that has the secret in the leaf of `task`, and elsewhere leaves nobody needs.
    function treeRoot(bytes32 secret, uint256 task) internal pure returns (bytes32 node) {
        bytes32[] memory proof = siblings();
        node = keccak256(abi.encode(secret));
        for (uint256 i = 0; i < proof.length; ++i) {
            node = (task >> i) % 2 == 0
                ? keccak256(abi.encodePacked(node, proof[i]))
                : keccak256(abi.encodePacked(proof[i], node));
        }
    }

    /// @dev The account commits to a tree that serves for one task.
    function commitTree(address account, uint256 task) internal {
        bytes32 root = treeRoot(secretOf(account, salt), task);
        vm.prank(account);
        court.commitSecrets(root);
    }
}
