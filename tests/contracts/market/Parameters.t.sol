// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Parameters, ParametersLib} from "../../../contracts/types/Parameters.sol";
import {Test} from "forge-std/Test.sol";

/// @title The bounds of a deployment's numbers.
contract ParametersTest is Test {
    function _defaults() private pure returns (Parameters memory p) {
        p.solverDepositMultiple = 3;
        p.claimDepositMultiple = 20;
        p.missMultiple = 2;
        p.minWageMultiple = 1;
        p.finderBps = 3000;
        p.clearedSolverBps = 2000;
        p.compensationBps = 5000;
        p.weightUnit = 1;
        p.minAudits = 2;
        p.claimWindow = 60;
        p.maxClaimWindow = 60;
        p.beaconDelay = 1;
    }

    function check(Parameters calldata p) external pure {
        ParametersLib.check(p);
    }

    function _refuses(Parameters memory p, string memory what) private {
        vm.expectRevert(abi.encodeWithSelector(ParametersLib.BadParameters.selector, what));
        this.check(p);
    }

    function test_check_defaults_pass() public view {
        this.check(_defaults());
    }

    function test_check_oneNumberOutOfBounds_reverts() public {
        Parameters memory p = _defaults();
        p.clearedSolverBps = 2001;
        _refuses(p, "clearedSolverBps");
        p = _defaults();
        p.solverDepositMultiple = 0;
        _refuses(p, "solverDepositMultiple");
        p = _defaults();
        p.compensationBps = 6001; // 3 x 30 % + 60.01 % > 150 %
        _refuses(p, "compensationBps");
        p = _defaults();
        p.claimDepositMultiple = 0;
        p.missMultiple = 0;
        _refuses(p, "claimDepositMultiple");
        p = _defaults();
        p.forcedBps = 10_001;
        _refuses(p, "forcedBps");
        p = _defaults();
        (p.minLevyMultiple, p.forcedBps, p.jackpotMultiple) = (2, 1000, 13);
        _refuses(p, "openingWindow");
        p.openingWindow = 1;
        this.check(p);
        p.minLevyMultiple = 1; // 0.1 x 13 x 1.25 > 1
        _refuses(p, "jackpotMultiple");
        p.minLevyMultiple = 2;
        (p.forcedBps, p.jackpotMultiple) = (1, 17); // 17 x 1.25 > 20
        _refuses(p, "jackpotMultiple");
        p = _defaults();
        p.missMultiple = 21;
        _refuses(p, "missMultiple");
        p = _defaults();
        p.weightUnit = 0;
        _refuses(p, "weightUnit");
        p = _defaults();
        p.minWageMultiple = 0;
        _refuses(p, "minWageMultiple");
        p = _defaults();
        p.minAudits = 0;
        _refuses(p, "minAudits");
        p = _defaults();
        p.maxClaimWindow = 59;
        _refuses(p, "maxClaimWindow");
        p = _defaults();
        p.beaconDelay = 0;
        _refuses(p, "beaconDelay");
    }

    /// @dev Whatever passes: finders and compensation, or finders and the cleared solver, get at most half of what is slashed.
    function testFuzz_check_passing_leavesHalfOfEverySlashToTheTreasury(
        uint16 multiple,
        uint16 finderBps,
        uint16 compensationBps,
        uint16 clearedSolverBps,
        uint64 fee
    ) public view {
        Parameters memory p = _defaults();
        p.solverDepositMultiple = uint16(bound(multiple, 1, 10));
        p.finderBps = uint16(bound(finderBps, 0, 5000));
        p.compensationBps = uint16(bound(compensationBps, 0, 20_000));
        p.clearedSolverBps = uint16(bound(clearedSolverBps, 0, 5000));
        try this.check(p) {}
        catch {
            return;
        }
        uint256 slash = uint256(fee) * p.solverDepositMultiple;
        uint256 out = slash * p.finderBps / 10_000 + uint256(fee) * p.compensationBps / 10_000;
        assertLe(out, slash / 2);
        assertLe(slash * (p.finderBps + p.clearedSolverBps) / 10_000, slash / 2);
    }
}
