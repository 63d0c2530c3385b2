// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IJackpotTreasury} from "../../../contracts/interfaces/IJackpotTreasury.sol";
import {ITaskMarket, TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {IUsefulWorkDraw} from "../../../contracts/interfaces/IUsefulWorkDraw.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";

/// @title Audited segments that stood win what half of the task's spare levy pays for, once, and nothing else wins.
contract UsefulWorkDrawTest is Endings {
    using TaskMath for TaskTerms;

    /// @dev Proofs are made first: a call of the hash's precompile would use up what is expected.
    function _refuse(uint32 segment, bytes32 start, bytes32 end, bytes memory expected) private {
        bytes32[] memory proof = checkpointProof(segment);
        vm.expectRevert(expected);
        lots.collect(terms, segment, start, end, proof);
    }

    function _refuse(uint32 segment, bytes memory expected) private {
        _refuse(segment, checkpoints[segment - 1], checkpoints[segment], expected);
    }

    /// @dev Tasks are settled until a drawn segment other than the first has a lot that wins, or loses.
    function _segmentWhoseLot(bool wins) private returns (uint32) {
        while (true) {
            delete terms;
            toEnd(0, true);
            uint32[] memory segments = drawnSegments();
            for (uint256 i = 0; i < segments.length; ++i) {
                if (segments[i] != 0 && lots.wins(terms.id, segments[i]) == wins) return segments[i];
            }
        }
        revert();
    }

    function test_winningTicket_isPaidToTheSolver_once_byAnybody() public {
        uint32 segment = _segmentWhoseLot(true);
        // Levy 8, no forced errors, two audits: 4 x 8 / 2 / 2.
        assertEq(lots.bonusOf(terms), 8 * TOKEN);
        uint256 before = vault.owedTo(solver);
        uint256 held = treasury.balance();
        bytes32[] memory proof = checkpointProof(segment);
        vm.prank(outsider);
        vm.expectEmit(address(lots));
        emit IUsefulWorkDraw.BonusWon(terms.id, segment, solver, 8 * TOKEN);
        lots.collect(terms, segment, checkpoints[segment - 1], checkpoints[segment], proof);
        assertEq(vault.owedTo(solver), before + 8 * TOKEN);
        assertEq(treasury.balance(), held - 8 * TOKEN);
        bytes32 ticket = keccak256(abi.encode("useful work", terms.id, segment));
        _refuse(segment, abi.encodeWithSelector(IJackpotTreasury.AlreadyPaid.selector, ticket));
    }

    function test_losingTicket_reverts() public {
        uint32 segment = _segmentWhoseLot(false);
        _refuse(segment, abi.encodeWithSelector(IUsefulWorkDraw.NotWon.selector, terms.id, segment));
    }

    function test_segmentThatWasNotAudited_isNoTicket() public {
        toEnd(0, true);
        uint32[] memory drawn = drawnSegments();
        uint256 refused = 0;
        for (uint32 segment = 1; segment < terms.segmentCount(); ++segment) {
            if (segment == drawn[0] || segment == drawn[1]) continue;
            _refuse(segment, abi.encodeWithSelector(IUsefulWorkDraw.NoTicket.selector, terms.id, segment));
            ++refused;
        }
        assertGe(refused, 2);
        _refuse(0, 0, checkpoints[0], abi.encodeWithSelector(IUsefulWorkDraw.NoTicket.selector, terms.id, 0));
    }

    function test_stateThatStayed_isNoTicket() public {
        uint32 segment = _segmentWhoseLot(true);
        bytes32 root = checkpoints[segment];
        _refuse(segment, root, root, abi.encodeWithSelector(IUsefulWorkDraw.NoTicket.selector, terms.id, segment));
    }

    function test_rootsThatWereNotCommitted_revert() public {
        uint32 segment = _segmentWhoseLot(true);
        (bytes32 start, bytes32 end, bytes32 other) = (checkpoints[segment - 1], checkpoints[segment], "other");
        _refuse(segment, other, end, abi.encodeWithSelector(IUsefulWorkDraw.NotCommitted.selector, other, end));
        _refuse(segment, start, other, abi.encodeWithSelector(IUsefulWorkDraw.NotCommitted.selector, start, other));
    }

    function test_taskThatDidNotSettle_orOtherTerms_revert() public {
        toEnd(type(uint256).max, true);
        uint32 segment = drawnSegments()[1];
        _refuse(
            segment,
            abi.encodeWithSelector(ITaskMarket.WrongState.selector, terms.id, TaskState.Rejected, TaskState.Settled)
        );
        terms.levy += 1;
        _refuse(segment, abi.encodeWithSelector(ITaskMarket.WrongTerms.selector, terms.id));
    }

    function test_lots_beforeTheDraw_doNotWin() public {
        toCommitted(0);
        for (uint32 segment = 0; segment < 5; ++segment) {
            assertFalse(lots.wins(terms.id, segment));
        }
    }

    /// @dev One in four, over numbers of segments; five standard deviations either way.
    function test_lots_winOneInFour() public {
        toAuditing(0);
        uint256 won = 0;
        for (uint32 segment = 0; segment < 4096; ++segment) {
            if (lots.wins(terms.id, segment)) ++won;
        }
        assertApproxEqAbs(won, 1024, 139);
    }

    function testFuzz_bonus_inTheMean_isAtMostHalfTheLevy(uint96 levy, uint16 audits, uint96 price) public {
        toOpen();
        (terms.levy, terms.audits, terms.price) = (levy, uint16(bound(audits, 1, 64)), price);
        // All tickets together, each won one time in ODDS.
        assertLe(uint256(lots.bonusOf(terms)) * terms.audits, uint256(levy) * lots.ODDS() / 2);
    }
}

/// @title With forced errors, the bonus is drawn from what they leave of the levy.
contract UsefulWorkDrawForcedTest is Endings {
    using TaskMath for TaskTerms;

    function setUp() public override {
        super.setUp();
        toOpen();
    }

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        (p.forcedBps, p.jackpotMultiple, p.openingWindow) = (1000, 14, 1 days);
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.levy = 16 * TOKEN;
    }

    function testFuzz_bonusAndForcedErrors_inTheMean_areAtMostTheLevy(uint96 levy, uint16 audits) public {
        (terms.levy, terms.audits) = (uint96(bound(levy, 0, 1e27)), uint16(bound(audits, 1, 64)));
        uint256 forced = terms.replayCost() * terms.audits * 14 * 5 / 4 / 10;
        uint256 bonus = lots.bonusOf(terms);
        if (terms.levy <= forced) assertEq(bonus, 0);
        else assertLe(2 * bonus * terms.audits / lots.ODDS() + forced, terms.levy);
    }

    function test_leastLevy_leavesLittle() public {
        // Two audits of c = 4: forced errors may cost 1.75 c each, 14 in all.
        assertEq(lots.bonusOf(terms), 2 * TOKEN);
        terms.levy = 14 * TOKEN;
        assertEq(lots.bonusOf(terms), 0);
        terms.levy = 20 * TOKEN;
        assertEq(lots.bonusOf(terms), 6 * TOKEN);
    }
}
