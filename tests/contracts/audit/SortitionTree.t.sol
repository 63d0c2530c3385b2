// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SortitionTree} from "../../../contracts/audit/SortitionTree.sol";
import {Test} from "forge-std/Test.sol";

/// @title The sum tree against a plain list of weights, now and in earlier blocks.
contract SortitionTreeTest is Test {
    using SortitionTree for SortitionTree.Tree;

    uint256 internal constant MAX_ACCOUNTS = 90; // four levels
    uint256 internal constant MAX_BLOCKS = 6;

    SortitionTree.Tree private _tree;
    /// @dev Weights by block and account, as a list would have them.
    mapping(uint256 blockNumber => mapping(uint256 account => uint256)) private _weights;

    function _account(uint256 index) private pure returns (address) {
        return address(uint160(index + 1));
    }

    function _drawnFromList(uint256 blockNumber, uint256 count, uint256 random) private view returns (address) {
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            total += _weights[blockNumber][i];
        }
        if (total == 0) return address(0);
        random %= total;
        for (uint256 i = 0; i < count; ++i) {
            if (random < _weights[blockNumber][i]) return _account(i);
            random -= _weights[blockNumber][i];
        }
        revert("unreachable");
    }

    /// @dev Accounts take their leaves in the order of their first weight: account i is leaf i.
    function testFuzz_draw_anyBlock_agreesWithAList(uint256 accounts, uint256 seed) public {
        accounts = bound(accounts, 1, MAX_ACCOUNTS);
        for (uint256 i = 0; i < accounts; ++i) {
            _tree.set(_account(i), 0);
        }
        for (uint256 b = 1; b <= MAX_BLOCKS; ++b) {
            vm.roll(1000 + b);
            for (uint256 i = 0; i < accounts; ++i) {
                _weights[b][i] = _weights[b - 1][i];
            }
            uint256 changes = uint256(keccak256(abi.encode(seed, b))) % 20;
            for (uint256 n = 0; n < changes; ++n) {
                uint256 random = uint256(keccak256(abi.encode(seed, b, n)));
                uint256 index = random % accounts;
                uint256 weight = random >> 128 & 7 == 0 ? 0 : (random >> 64) % SortitionTree.MAX_WEIGHT + 1;
                _weights[b][index] = weight;
                _tree.set(_account(index), weight);
                assertEq(_tree.weightOf(_account(index)), weight);
            }
        }
        for (uint256 b = 1; b <= MAX_BLOCKS; ++b) {
            for (uint256 n = 0; n < 4; ++n) {
                uint256 random = uint256(keccak256(abi.encode(seed, "draw", b, n)));
                (address drawn, uint256 weight,) = _tree.draw(1000 + b, random);
                assertEq(drawn, _drawnFromList(b, accounts, random));
                assertEq(weight, drawn == address(0) ? 0 : _weights[b][uint160(drawn) - 1]);
            }
        }
    }

    function test_draw_treeThatGrewLater_drawsFromThoseOfTheBlock() public {
        vm.roll(10);
        for (uint256 i = 0; i < 4; ++i) {
            _tree.set(_account(i), 1);
        }
        vm.roll(20);
        for (uint256 i = 4; i < 70; ++i) {
            _tree.set(_account(i), 1_000_000);
        }
        for (uint256 random = 0; random < 8; ++random) {
            (address drawn,,) = _tree.draw(10, random);
            assertEq(drawn, _account(random % 4));
            (drawn,,) = _tree.draw(19, random);
            assertEq(drawn, _account(random % 4));
        }
        (address none, uint256 weight,) = _tree.draw(9, 0);
        assertEq(none, address(0));
        assertEq(weight, 0);
        (address late,,) = _tree.draw(20, 4 + 1_000_000);
        assertEq(late, _account(5));
    }

    function test_draw_emptyTree_drawsNobody() public view {
        (address drawn, uint256 weight,) = _tree.draw(block.number, 1);
        assertEq(drawn, address(0));
        assertEq(weight, 0);
    }

    function test_draw_changesAfterTheBlock_changeNothing() public {
        vm.roll(10);
        for (uint256 i = 0; i < 20; ++i) {
            _tree.set(_account(i), 100 + i);
        }
        address[] memory before = new address[](50);
        for (uint256 n = 0; n < 50; ++n) {
            (before[n],,) = _tree.draw(10, n * 37);
        }
        for (uint256 b = 11; b < 15; ++b) {
            vm.roll(b);
            _tree.set(_account(b), b * 1e6);
            _tree.set(_account(30 + b), 5);
            _tree.set(_account(3), 0);
        }
        for (uint256 n = 0; n < 50; ++n) {
            (address drawn,,) = _tree.draw(10, n * 37);
            assertEq(drawn, before[n]);
        }
    }
}
