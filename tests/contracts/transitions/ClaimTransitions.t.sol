// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ClaimBody, ClaimRef, Opening} from "../../../contracts/interfaces/IAuditCourt.sol";
import {TaskOffer} from "../../../contracts/interfaces/ITaskMarket.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";
import {TransitionTable} from "./TransitionTable.sol";

/// @title A drawn verifier's claim until it is closed, and a blind claim's bond: every call about them, by their owner and anybody.
/// @dev The work is good. The machine `claim` looks at the drawn verifier's stake: held, released whole, or slashed. `blind` looks at a
/// whistleblower's flat bond: placed or not.
contract ClaimTransitionsTest is Endings, TransitionTable {
    uint32 private _segment;
    bool private _forced;

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        p.minAudits = 1;
        p.openingWindow = 1 days;
        if (_forced) (p.forcedBps, p.jackpotMultiple) = (1, 13);
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.audits = 1;
    }

    function test_claim_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("claim");
    }

    function test_blind_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("blind");
    }

    // Rows

    function _bringTo(string memory machine, string memory row) internal override {
        (string memory state, string memory how) = _partsOf(row);
        if (_same(how, "secret due") || _same(how, "secret opened")) {
            _forced = true;
            setUp();
        }
        stake(outsider, 10_000 * TOKEN); // nobody is refused for want of stake
        toAuditing(0);
        _segment = drawnSegments()[0];
        if (_same(machine, "claim")) _arrangeClaim(state, how);
        else _arrangeBlind(state, how);
    }

    function _arrangeClaim(string memory state, string memory how) private {
        if (_same(how, "not yet made")) return;
        bool wrong = _same(how, "convicted") || _same(state, "Slashed");
        placeBlind(whistleblower, _segment, honestEnd(_segment));
        claim(_segment, wrong ? keccak256("wrong") : honestEnd(_segment));
        if (_same(how, "auditing")) return;
        if (_same(how, "void")) return market.voidInvalidProgram(terms, fault());
        if (_same(how, "malformed start")) {
            vm.prank(address(starts));
            court.failStart(terms.id, _segment, outsider);
            return market.settle(terms);
        }
        passClaimWindow(_segment);
        // A lone claim is closed by the settlement.
        if (!_same(how, "alone") && !_same(how, "fetched")) unblind(whistleblower, _segment, honestEnd(_segment));
        passUnblindWindow(_segment);
        if (wrong) convict(_segment, 0, false, whistleblower);
        if (_same(how, "digest convicted")) convict(_segment, 0, true, whistleblower);
        passDisputeWindow(_segment);
        market.settle(terms);
        if (_same(how, "fetched")) ledger.creditClaim(terms, _segment);
        if (_same(how, "judged")) court.closeClaim(terms, _segment, 0, 0);
        if (_same(how, "secret opened")) court.openSecret(terms, _opening());
    }

    function _arrangeBlind(string memory state, string memory how) private {
        if (_same(state, "None") && bytes(how).length == 0) return;
        placeBlind(whistleblower, _segment, honestEnd(_segment));
        bytes32 commitment = blindCommitment(whistleblower, _segment, honestEnd(_segment));
        if (_same(how, "void")) return market.voidInvalidProgram(terms, fault());
        if (_same(how, "malformed start")) {
            vm.prank(address(starts));
            return court.failStart(terms.id, _segment, outsider);
        }
        if (_same(how, "unblinding") || _same(how, "opened")) passClaimWindow(_segment);
        if (_same(how, "opened")) unblind(whistleblower, _segment, honestEnd(_segment));
        if (_same(how, "never opened")) passUnblindWindow(_segment);
        if (_same(how, "forgotten") || _same(how, "forfeited")) {
            vm.warp(vm.getBlockTimestamp() + 2 * uint256(numbers.maxClaimWindow) + numbers.unblindWindow + 1);
        }
        if (_same(how, "forfeited")) court.forfeitBlind(whistleblower, commitment);
    }

    function _passDeadline(string memory) internal override {
        uint256 last = market.deadlineOf(terms.id);
        vm.warp((last > vm.getBlockTimestamp() ? last : vm.getBlockTimestamp()) + 1);
    }

    function _stateName(string memory machine) internal view override returns (string memory) {
        if (_same(machine, "blind")) {
            bytes32 commitment = blindCommitment(whistleblower, _segment, honestEnd(_segment));
            bytes32 key = keccak256(abi.encode("blind", whistleblower, commitment));
            (, uint96 bond) = vault.engagementOf(address(court), key);
            return bond == 0 ? "None" : "Placed";
        }
        address drawn = verifierOf(_segment);
        uint96 free = vault.freeStakeOf(drawn);
        if (free == VERIFIER_STAKE) return "Released";
        return court.claimOf(refOf(_segment, 0)).closed ? "Slashed" : "Held";
    }

    // Moves

    function _actor(string memory machine, string memory move, uint256 column)
        internal
        view
        override
        returns (address)
    {
        if (_same(_variantOf(move), "game")) return game;
        if (column == 1) return outsider;
        return _same(machine, "blind") ? whistleblower : verifierOf(_segment);
    }

    function _move(string memory, string memory move, address)
        internal
        view
        override
        returns (address target, bytes memory data)
    {
        target = address(court);
        ClaimRef memory ref = refOf(_segment, 0);
        if (_same(move, "closeClaim")) return (target, abi.encodeCall(court.closeClaim, (terms, _segment, 0, 0)));
        if (_same(move, "closeClaim_noSuch")) {
            return (target, abi.encodeCall(court.closeClaim, (terms, _segment, 0, 7)));
        }
        if (_same(move, "openSecret")) return (target, abi.encodeCall(court.openSecret, (terms, _opening())));
        if (_same(move, "convict_game")) return (target, abi.encodeCall(court.convict, (ref, false, outsider)));
        if (_same(move, "convictDigest_game")) {
            return (target, abi.encodeCall(court.convictDigest, (ref, 0, 0, outsider)));
        }
        if (_same(move, "disputeOpened_game")) return (target, abi.encodeCall(court.disputeOpened, (ref)));
        if (_same(move, "creditClaim")) {
            return (address(ledger), abi.encodeCall(ledger.creditClaim, (terms, _segment)));
        }
        return (target, _blindMove(move));
    }

    function _blindMove(string memory move) private view returns (bytes memory) {
        bytes32 commitment = blindCommitment(whistleblower, _segment, honestEnd(_segment));
        ClaimBody memory body = bodyFor(_segment, honestEnd(_segment));
        if (_same(move, "placeBlind")) return abi.encodeCall(court.placeBlind, (commitment));
        if (_same(move, "forfeitBlind")) return abi.encodeCall(court.forfeitBlind, (whistleblower, commitment));
        if (_same(move, "unblind")) {
            return abi.encodeCall(court.unblind, (terms, _segment, body, checkpointProof(_segment), "salt"));
        }
        require(_same(move, "reclaimBlind"), move);
        return abi.encodeCall(court.reclaimBlind, (terms, _segment, 0, keccak256(abi.encode(body)), "salt"));
    }

    function _opening() private view returns (Opening memory) {
        return openingFor(_segment, drawnBody(_segment, honestEnd(_segment)));
    }
}
