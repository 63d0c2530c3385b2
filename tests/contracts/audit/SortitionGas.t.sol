// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SortitionTree} from "../../../contracts/audit/SortitionTree.sol";
import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";

/// @title A tree behind calls, so that their gas can be measured.
contract TreeHarness {
    using SortitionTree for SortitionTree.Tree;

    SortitionTree.Tree private _tree;

    function set(address account, uint256 weight) external {
        _tree.set(account, weight);
    }

    function draw(uint256 atBlock, uint256 random) external view returns (address account) {
        (account,,) = _tree.draw(atBlock, random);
    }
}

/// @title What registering and drawing cost with 10, 1,000 and 10,000 verifiers: a step for each level of the tree.
contract SortitionGasTest is Test {
    uint256 internal constant DRAWS = 20;
    /// @dev Most that a level may cost: of a registration two words, one of them new; of a draw one or two cold words, and computing.
    uint256 internal constant REGISTER_LEVEL = 36_000;
    uint256 internal constant DRAW_LEVEL = 6500;
    uint256 internal constant REGISTER_REST = 60_000;
    uint256 internal constant DRAW_REST = 9000;

    function _measure(uint256 count, uint256 levels) private {
        TreeHarness tree = new TreeHarness();
        vm.pauseGasMetering(); // of what comes before: all registrations together use more than a block has
        for (uint256 i = 1; i < count; ++i) {
            tree.set(address(uint160(i)), 1 + i % 1000);
        }
        vm.resumeGasMetering();
        vm.roll(vm.getBlockNumber() + 1);
        vm.cool(address(tree));
        tree.set(address(uint160(count)), 500);
        uint256 register = vm.lastCallGas().gasTotalUsed;
        vm.roll(vm.getBlockNumber() + 1);
        vm.cool(address(tree));
        tree.set(address(uint160(count / 2)), 700);
        uint256 change = vm.lastCallGas().gasTotalUsed;
        vm.roll(vm.getBlockNumber() + 1);
        uint256 draw = 0;
        for (uint256 i = 0; i < DRAWS; ++i) {
            vm.cool(address(tree));
            tree.draw(vm.getBlockNumber() - 1, uint256(keccak256(abi.encode(i))));
            draw += vm.lastCallGas().gasTotalUsed / DRAWS;
        }
        console.log(string.concat("sortition ", vm.toString(count)), register, change, draw);
        assertLe(register, REGISTER_REST + levels * REGISTER_LEVEL, "registering");
        assertLe(change, REGISTER_REST + levels * REGISTER_LEVEL, "changing");
        assertLe(draw, DRAW_REST + levels * DRAW_LEVEL, "drawing");
    }

    function test_gas_growsByALevelForFourTimesAsMany() public {
        _measure(10, 2);
        _measure(1000, 5);
        _measure(10_000, 7);
    }
}
