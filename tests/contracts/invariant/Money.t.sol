// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskActors} from "./TaskActors.sol";
import {Test} from "forge-std/Test.sol";

/// @title Whatever actors do, no unit is made, lost or stuck.
abstract contract MoneyInvariant is Test {
    TaskActors internal actors;

    function setUp() public {
        actors = new TaskActors(forcedBps());
        actors.setUp();
        targetSelector(FuzzSelector(address(actors), _selectors()));
        targetContract(address(actors));
    }

    function _selectors() private pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](27);
        selectors[0] = TaskActors.moveStake.selector;
        selectors[1] = TaskActors.passTime.selector;
        selectors[2] = TaskActors.submit.selector;
        selectors[3] = TaskActors.live.selector;
        selectors[4] = TaskActors.postClaim.selector;
        selectors[5] = TaskActors.placeBlindClaim.selector;
        selectors[6] = TaskActors.openBlind.selector;
        selectors[7] = TaskActors.forfeit.selector;
        selectors[8] = TaskActors.dispute.selector;
        selectors[9] = TaskActors.closeDispute.selector;
        selectors[10] = TaskActors.finalizeSegment.selector;
        selectors[11] = TaskActors.redrawSegment.selector;
        selectors[12] = TaskActors.closeClaim.selector;
        selectors[13] = TaskActors.live.selector;
        selectors[14] = TaskActors.openSecret.selector;
        selectors[15] = TaskActors.payArrears.selector;
        selectors[16] = TaskActors.releaseApplication.selector;
        selectors[17] = TaskActors.live.selector;
        selectors[18] = TaskActors.postClaim.selector;
        selectors[19] = TaskActors.settleHonestly.selector;
        selectors[20] = TaskActors.demandData.selector;
        selectors[21] = TaskActors.answerData.selector;
        selectors[22] = TaskActors.closeDemand.selector;
        selectors[23] = TaskActors.demandData.selector;
        selectors[24] = TaskActors.joinDemand.selector;
        selectors[25] = TaskActors.collectBonus.selector;
        selectors[26] = TaskActors.closeDemand.selector;
    }

    /// @dev Runs as long as the invariants' come to claims: what holds is not said of empty courts.
    function test_actors_comeToClaims() public {
        vm.pauseGasMetering(); // all runs together use more than a block has
        uint256 claims;
        uint256 drawn;
        uint256 stacked;
        uint256 bonuses;
        uint256 answers;
        uint256 closed;
        uint256 joined;
        bytes4[] memory selectors = _selectors();
        for (uint256 run = 0; run < 64; ++run) {
            setUp();
            for (uint256 call = 0; call < 64; ++call) {
                uint256 seed = uint256(keccak256(abi.encode(run, call)));
                // Half of the calls have arguments that fit a bool.
                uint256 most = seed & 1 == 0 ? 2 : 256;
                bytes memory arguments =
                    abi.encode((seed >> 16) % most, (seed >> 32) % most, (seed >> 48) % most, (seed >> 64) % most, 0);
                (bool done,) = address(actors).call(bytes.concat(selectors[(seed >> 8) % selectors.length], arguments));
                if (!done) vm.stopPrank();
            }
            claims += actors.done("claim");
            drawn += actors.done("drawn");
            stacked += actors.done("stacked");
            bonuses += actors.done("bonuses");
            answers += actors.done("answered");
            closed += actors.done("closed demands");
            joined += actors.done("joined");
        }
        assertGt(claims, 10, "claims");
        assertGt(drawn, 2, "drawn solvers");
        assertGt(stacked, 2, "stacked tasks");
        assertGt(bonuses, 0, "bonuses");
        assertGt(answers, 3, "answers");
        assertGt(closed, 3, "closed demands");
        assertGt(joined, 0, "joined demands");
    }

    function forcedBps() internal pure virtual returns (uint16);

    /// @dev No token is made or lost, and none lies outside the vault.
    function invariant_tokens_areWhatWasMinted() public view {
        assertEq(actors.sumOfTokens(), actors.minted());
    }

    /// @dev What the vault holds is what it owes: free and unbonding stake, engagements, owed amounts; to the last unit.
    function invariant_vault_holdsWhatItOwes() public view {
        assertEq(actors.sumOfAccounts() + actors.sumOfEngagements(), actors.vaultBalance());
    }

    /// @dev The market is owed the escrows of the tasks that have not ended, exactly.
    function invariant_market_isOwedTheOpenEscrows() public view {
        assertEq(actors.marketOwed(), actors.sumOfEscrows());
    }

    /// @dev No transaction takes from the treasury more than it brings; but for a forced error, which pays J and a quarter at most, and a lot its bonus.
    function invariant_treasury_neverFalls() public view {
        assertFalse(actors.treasuryFell());
    }

    /// @dev From wherever a run has come, passers-by and time alone end all tasks and free every deposit.
    function afterInvariant() public {
        actors.finishEverything();
        assertEq(actors.sumOfEngagements(), 0, "a deposit is stuck");
        assertEq(actors.marketOwed(), 0, "an escrow is stuck");
        assertEq(actors.sumOfAccounts(), actors.vaultBalance(), "liabilities are not assets");
        assertEq(actors.sumOfTokens(), actors.minted());
    }
}

/// @dev Without forced errors.
contract MoneyInvariantTest is MoneyInvariant {
    function forcedBps() internal pure override returns (uint16) {
        return 0;
    }
}

/// @dev Every other verifier is told to err.
contract ForcedMoneyInvariantTest is MoneyInvariant {
    function forcedBps() internal pure override returns (uint16) {
        return 5000;
    }
}
