// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TaskState} from "../../../contracts/interfaces/ITaskMarket.sol";
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
        selectors = new bytes4[](30);
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
        selectors[18] = TaskActors.drawAndClaim.selector;
        selectors[19] = TaskActors.settleHonestly.selector;
        selectors[20] = TaskActors.demandData.selector;
        selectors[21] = TaskActors.answerData.selector;
        selectors[22] = TaskActors.closeDemand.selector;
        selectors[23] = TaskActors.demandData.selector;
        selectors[24] = TaskActors.joinDemand.selector;
        selectors[25] = TaskActors.collectBonus.selector;
        selectors[26] = TaskActors.closeDemand.selector;
        selectors[27] = TaskActors.contest.selector;
        selectors[28] = TaskActors.closeClaim.selector;
        selectors[29] = TaskActors.callUp.selector;
    }

    /// @dev Runs as long as the invariants' come to every ending and to every kind of move: what holds is not said of empty courts.
    function test_actors_comeToEveryEndingAndMove() public {
        vm.pauseGasMetering(); // all runs together use more than a block has
        bytes32[] memory kinds = _kinds();
        uint256[] memory moves = new uint256[](kinds.length);
        uint256[13] memory endings;
        bytes4[] memory selectors = _selectors();
        for (uint256 run = 0; run < 16; ++run) {
            setUp();
            for (uint256 call = 0; call < 500; ++call) {
                uint256 seed = uint256(keccak256(abi.encode(run, call)));
                // Half of the calls have arguments that fit a bool.
                uint256 most = seed & 1 == 0 ? 2 : 256;
                bytes memory arguments =
                    abi.encode((seed >> 16) % most, (seed >> 32) % most, (seed >> 48) % most, (seed >> 64) % most, 0);
                (bool done,) = address(actors).call(bytes.concat(selectors[(seed >> 8) % selectors.length], arguments));
                if (!done) vm.stopPrank();
            }
            for (uint256 i = 0; i < kinds.length; ++i) {
                moves[i] += actors.done(kinds[i]);
            }
            for (uint8 state = uint8(TaskState.Settled); state <= uint8(TaskState.Expired); ++state) {
                endings[state] += actors.endings(TaskState(state));
            }
        }
        for (uint256 i = 0; i < kinds.length; ++i) {
            emit log_named_uint(string(abi.encodePacked(kinds[i])), moves[i]);
        }
        for (uint8 state = uint8(TaskState.Settled); state <= uint8(TaskState.Expired); ++state) {
            emit log_named_uint(string.concat("ended in state ", vm.toString(state)), endings[state]);
        }
        for (uint8 state = uint8(TaskState.Settled); state <= uint8(TaskState.Expired); ++state) {
            assertGt(endings[state], 0, string.concat("no task ended in state ", vm.toString(state)));
        }
        for (uint256 i = 0; i < kinds.length; ++i) {
            if (kinds[i] != "secrets" || forcedBps() != 0) assertGt(moves[i], 0, string(abi.encodePacked(kinds[i])));
        }
    }

    /// @dev What `TaskActors` counts where it succeeds.
    function _kinds() private pure returns (bytes32[] memory kinds) {
        kinds = new bytes32[](20);
        (kinds[0], kinds[1], kinds[2], kinds[3]) = ("claim", "drawn", "stacked", "bonuses");
        (kinds[4], kinds[5], kinds[6], kinds[7]) = ("answered", "closed demands", "joined", "opened");
        (kinds[8], kinds[9], kinds[10], kinds[11]) = ("forfeit", "convicted", "close dispute", "finalize");
        (kinds[12], kinds[13], kinds[14], kinds[15]) = ("redraw", "close", "settle", "release");
        (kinds[16], kinds[17], kinds[18], kinds[19]) = ("contest", "called", "secrets", "draw and claim");
    }

    function forcedBps() internal pure virtual returns (uint16);

    /// @dev One function, so that one campaign of calls is held to all of it:
    /// - no token is made or lost, and none lies outside the vault;
    /// - what the vault holds is what it owes: free and unbonding stake, engagements, owed amounts; to the last unit;
    /// - the market is owed the escrows of the tasks that have not ended, and the stakes that its and the court's books say are held, exactly;
    /// - no transaction takes from the treasury more than it brings; but for a forced error, which pays J and a quarter at most, and a lot its bonus.
    ///   Actors look at that after every call of theirs; sums are taken every so many calls (foundry.toml) and at the end.
    function invariant_noUnit_isMadeLostOrMisplaced() public view {
        assertEq(actors.sumOfTokens(), actors.minted(), "tokens");
        assertEq(actors.sumOfAccounts() + actors.sumOfEngagements(), actors.vaultBalance(), "vault");
        assertEq(actors.marketOwed(), actors.sumOfEscrows() + actors.sumOfHeld(), "escrows and stakes held");
        assertFalse(actors.treasuryFell(), "treasury");
    }

    /// @dev From wherever a run has come, passers-by and time alone end all tasks and free every deposit.
    function afterInvariant() public {
        actors.finishEverything();
        assertEq(actors.sumOfEngagements(), 0, "a deposit is stuck");
        assertEq(actors.marketOwed(), 0, "an escrow, or a stake that is held, is stuck");
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
