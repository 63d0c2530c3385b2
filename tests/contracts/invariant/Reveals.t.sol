// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RevealActors} from "./RevealActors.sol";
import {Test} from "forge-std/Test.sol";

/// @title Whatever revealers and passers-by do, no bond is made, lost or stuck, and no value changes.
contract RevealsInvariantTest is Test {
    RevealActors internal actors;

    function setUp() public {
        actors = new RevealActors();
        actors.setUp();
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = RevealActors.pass.selector;
        selectors[1] = RevealActors.takeSeat.selector;
        selectors[2] = RevealActors.stepDown.selector;
        selectors[3] = RevealActors.vacate.selector;
        selectors[4] = RevealActors.ask.selector;
        selectors[5] = RevealActors.tell.selector;
        selectors[6] = RevealActors.callTime.selector;
        selectors[7] = RevealActors.fix.selector;
        selectors[8] = RevealActors.tell.selector;
        selectors[9] = RevealActors.takeSeat.selector;
        selectors[10] = RevealActors.pass.selector;
        selectors[11] = RevealActors.pass.selector;
        targetSelector(FuzzSelector(address(actors), selectors));
        targetContract(address(actors));
    }

    /// @dev As many calls as other campaigns make, in shorter runs: revealers have secrets for 72 blocks. One function, so that one campaign is held to
    /// all of it:
    /// - a bond for every seat that is taken and not struck, and for no other;
    /// - the panel is who has not left;
    /// - what the vault holds is what it owes, to the last unit, lost bonds included;
    /// - values do not change.
    /// forge-config: default.invariant.runs = 5000
    /// forge-config: default.invariant.depth = 100
    /// forge-config: long.invariant.runs = 50000
    /// forge-config: long.invariant.depth = 100
    function invariant_bondsAndValues_areWhatTheyShouldBe() public view {
        assertEq(actors.sumOfBonds(), actors.bondsDue(), "bonds");
        assertEq(actors.panel(), actors.panelDue(), "panel");
        assertEq(actors.liabilities(), actors.assets(), "vault");
        assertFalse(actors.valueChanged(), "values");
    }

    /// @dev From wherever a run has come, passers-by and blocks alone give every draw a value and free every bond.
    function afterInvariant() public {
        actors.finishEverything();
        assertEq(actors.sumOfBonds(), 0, "a bond is stuck");
        assertEq(actors.liabilities(), actors.assets());
        assertFalse(actors.valueChanged());
    }
}
