// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {
    ClaimBody,
    ClaimRecord,
    ClaimRef,
    Opening,
    Slot,
    SlotState
} from "../../../contracts/interfaces/IAuditCourt.sol";
import {TaskOffer} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";
import {TransitionTable} from "./TransitionTable.sol";

/// @title Every call about a drawn segment, in each of its states and windows, by its verifier, a claimant, anybody and the modules.
/// @dev The work is bad. The drawn verifier, where it claims, claims what was committed; a whistleblower has placed a blind claim of what a
/// replay gives. What becomes of a claim once the task ended is another machine's.
contract SegmentTransitionsTest is Endings, TransitionTable {
    uint32 private _segment;
    bytes32 private _bodyHash;

    function setUp() public override {
        super.setUp();
        // Nobody is refused for want of stake that is not on duty.
        stake(outsider, 10_000 * TOKEN);
        stake(verifier, 10_000 * TOKEN);
        stake(secondVerifier, 10_000 * TOKEN);
    }

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        p.minAudits = 1;
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.audits = 1;
    }

    function test_segment_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("segment");
    }

    // Rows

    function _bringTo(string memory, string memory row) internal override {
        (string memory state, string memory window) = _partsOf(row);
        toAuditing(type(uint256).max);
        _segment = drawnSegments()[0];
        _bodyHash = keccak256(abi.encode(bodyFor(_segment, honestEnd(_segment))));
        if (_same(row, "None")) {
            while (stateOf(_segment) != SlotState.None) _segment = (_segment + 1) % 5;
            return;
        }
        placeBlind(whistleblower, _segment, honestEnd(_segment));
        // What is void was claimed, so that there is a claim to close.
        _arrange(_same(window, "void") ? "Drawn claimed" : state);
        _passTo(window);
    }

    function _arrange(string memory state) private {
        if (vm.contains(state, "claimed")) claim(_segment, checkpoints[_segment]);
        if (vm.contains(state, "answered")) {
            passClaimWindow(_segment);
            unblind(whistleblower, _segment, honestEnd(_segment));
        }
        ClaimRef memory ref = _ref();
        if (vm.contains(state, "disputed")) {
            passUnblindWindow(_segment);
            vm.prank(game);
            court.disputeOpened(ref);
        }
        if (vm.contains(state, "convicted")) {
            vm.prank(game);
            court.convict(ref, false, whistleblower);
        }
        if (_same(state, "Passed")) claim(_segment, checkpoints[_segment]);
        if (_same(state, "Failed")) claim(_segment, honestEnd(_segment));
        if (_same(state, "Redrawing") || _same(state, "Passed") || _same(state, "Failed") || _same(state, "Moot")) {
            passUnblindWindow(_segment);
            court.finalize(terms, _segment, 10);
        }
        if (_same(state, "Redrawing")) rollToValue();
        if (_same(state, "Withheld")) {
            vm.prank(address(demands));
            court.failStart(terms.id, _segment, outsider);
        }
        if (_same(state, "Malformed")) {
            vm.prank(address(starts));
            court.failStart(terms.id, _segment, outsider);
        }
        if (!_same(state, "Moot")) return;
        _passTo("late");
        court.finalize(terms, _segment, 10);
    }

    function _passTo(string memory window) private {
        if (_same(window, "unblinding")) passClaimWindow(_segment);
        else if (_same(window, "disputing")) passUnblindWindow(_segment);
        else if (_same(window, "over")) passDisputeWindow(_segment);
        else if (_same(window, "late")) vm.warp(vm.getBlockTimestamp() + numbers.drawWindow + 1);
        else if (_same(window, "void")) market.voidInvalidProgram(terms, fault());
        else require(bytes(window).length == 0 || _same(window, "claiming"), window);
    }

    function _passDeadline(string memory) internal pure override {
        revert("its windows are rows");
    }

    function _stateName(string memory) internal view override returns (string memory name) {
        Slot memory slot = court.slotOf(terms.id, _segment);
        if (slot.state == SlotState.Failed) return slot.standing == type(uint16).max ? "Malformed" : "Failed";
        if (slot.state != SlotState.Drawn) {
            return ["None", "", "Redrawing", "Passed", "", "Withheld", "Moot"][uint8(slot.state)];
        }
        ClaimRecord memory first = court.claimOf(ClaimRef(terms.id, _segment, slot.round, 0));
        name = first.bodyHash == 0 ? "Drawn silent" : "Drawn claimed";
        if (slot.claims > 1) name = string.concat(name, " answered");
        if (slot.openDisputes != 0) name = string.concat(name, " disputed");
        if (first.convicted) name = string.concat(name, " convicted");
        if (first.digestConvicted) name = string.concat(name, " copied");
    }

    // Moves

    function _actor(string memory, string memory move, uint256 column) internal view override returns (address) {
        if (_same(_variantOf(move), "checker")) return address(starts);
        if (_same(_variantOf(move), "demands")) return address(demands);
        if (_same(_variantOf(move), "game")) return game;
        address drawn = verifierOf(_segment);
        return [drawn == address(0) ? verifier : drawn, whistleblower, outsider][column];
    }

    function _move(string memory, string memory move, address)
        internal
        view
        override
        returns (address target, bytes memory data)
    {
        string memory name = vm.split(move, "_")[0];
        if (_same(name, "settle")) return (address(market), abi.encodeCall(market.settle, (terms)));
        if (_same(name, "voidInvalidProgram")) {
            return (address(market), abi.encodeCall(market.voidInvalidProgram, (terms, fault())));
        }
        if (_same(name, "creditClaim")) {
            return (address(ledger), abi.encodeCall(ledger.creditClaim, (terms, _segment)));
        }
        ClaimRef memory ref = _ref();
        target = address(court);
        if (_same(name, "redraw")) {
            data = abi.encodeCall(court.redraw, (terms, _segment));
        } else if (_same(name, "finalize")) {
            data = abi.encodeCall(court.finalize, (terms, _segment, 10));
        } else if (_same(name, "closeClaim")) {
            data = abi.encodeCall(court.closeClaim, (terms, _segment, ref.round, 0));
        } else if (_same(name, "disputeOpened")) {
            data = abi.encodeCall(court.disputeOpened, (ref));
        } else if (_same(name, "disputeClosed")) {
            data = abi.encodeCall(court.disputeClosed, (ref));
        } else if (_same(name, "convict")) {
            data = abi.encodeCall(court.convict, (ref, false, whistleblower));
        } else if (_same(name, "convictDigest")) {
            data = abi.encodeCall(court.convictDigest, (ref, 0, 0, whistleblower));
        } else if (_same(name, "failStart")) {
            data = abi.encodeCall(court.failStart, (terms.id, _segment, outsider));
        } else if (_same(name, "extendClaims")) {
            // The deadline that it has: in any window a legal one.
            (uint64 deadline,,) = court.windowsOf(terms.id, _segment);
            data = abi.encodeCall(court.extendClaims, (terms.id, _segment, deadline));
        }
        if (data.length == 0) data = _claimMove(name, ref.round);
    }

    function _claimMove(string memory name, uint8 round) private view returns (bytes memory) {
        bytes32[] memory proof = checkpointProof(_segment);
        if (_same(name, "postClaim")) {
            ClaimBody memory passing = bodyFor(_segment, checkpoints[_segment]);
            return abi.encodeCall(court.postClaim, (terms, _segment, passing, proof));
        }
        if (_same(name, "drawAndClaim")) {
            ClaimBody memory passing = bodyFor(_segment, checkpoints[_segment]);
            return abi.encodeCall(court.drawAndClaim, (terms, _segment, passing, proof));
        }
        if (_same(name, "callUp")) {
            ClaimBody memory other = bodyFor(_segment, "other");
            return abi.encodeCall(court.callUp, (terms, _segment, other, proof));
        }
        if (_same(name, "unblind")) {
            ClaimBody memory honest = bodyFor(_segment, honestEnd(_segment));
            return abi.encodeCall(court.unblind, (terms, _segment, honest, proof, "salt"));
        }
        if (_same(name, "openSecret")) {
            Opening memory opening;
            (opening.segment, opening.round) = (_segment, round);
            return abi.encodeCall(court.openSecret, (terms, opening));
        }
        require(_same(name, "reclaimBlind"), name);
        return abi.encodeCall(court.reclaimBlind, (terms, _segment, round, _bodyHash, "salt"));
    }

    function _ref() private view returns (ClaimRef memory) {
        return refOf(_segment, 0);
    }
}
