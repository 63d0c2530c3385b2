// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DigestChunk, Dispute, LeafProof, Phase} from "../../../contracts/interfaces/IDisputeGame.sol";
import {TransitionTable} from "../transitions/TransitionTable.sol";
import {Match} from "./DisputeFixture.sol";
import {DisputeRows} from "./DisputeRows.sol";
import {Lie, ToyTask} from "./ToyTask.sol";

/// @title Every call of the game, in every phase of a dispute, by each side and a stranger, early and late.
abstract contract DisputeTransitions is DisputeRows, TransitionTable {
    /// @dev The match being played lies here as code: a struct of its size cannot be kept in storage.
    address private constant TABLE_OF_THE_MATCH = address(0x7ab1e);

    string[14] private _phaseNames = [
        "None",
        "States",
        "PickStep",
        "Step",
        "PickBlock",
        "Nodes",
        "PickNode",
        "Chunks",
        "PickChunk",
        "Data",
        "Prove",
        "Parts",
        "ProvePart",
        "Resolved"
    ];

    function test_dispute_everyMoveInEveryState_doesWhatTheTableSays() public {
        _play("dispute");
    }

    // Rows

    function _bringTo(string memory, string memory row_) internal override {
        string[] memory parts = vm.split(row_, ", ");
        Match memory m = _matchFor(parts[0], parts.length == 2 ? parts[1] : "");
        while (!_same(_phaseName(m.id), parts[0])) move(m);
        vm.etch(TABLE_OF_THE_MATCH, abi.encode(m));
    }

    /// @dev A program whose nodes, or whose tensors, have two levels: small as they are, one has both levels in a dispute.
    function _matchFor(string memory phase, string memory about) private returns (Match memory m) {
        if (_same(phase, "None")) {
            m = small(2);
            m.id = 17;
            return m;
        }
        if (_same(about, "long row") || _same(phase, "Parts") || _same(phase, "ProvePart")) return open(row());
        if (_same(about, "one level")) return open(small(2));
        if (_same(about, "chunks") || _same(phase, "Chunks") || _same(phase, "PickChunk")) {
            return open(arrange(ToyTask.make(3, 1030, 11), 2, Lie(1, 1, 1025, 5), noLie()));
        }
        m = arrange(ToyTask.make(66, 10, 11), 2, Lie(1, 64, 3, 5), noLie());
        if (!_same(about, "digest")) return open(m);
        m.body.digest[0] ^= 0x01;
        post(m);
        return openDigest(m, 0);
    }

    function _match() private view returns (Match memory) {
        return abi.decode(TABLE_OF_THE_MATCH.code, (Match));
    }

    function _passDeadline(string memory) internal override {
        uint256 last = game.deadlineOf(_match().id);
        vm.warp((last == 0 ? vm.getBlockTimestamp() : last) + 1);
    }

    function _stateName(string memory) internal view override returns (string memory) {
        return _phaseName(_match().id);
    }

    function _phaseName(uint256 id) private view returns (string memory) {
        return _phaseNames[uint8(phaseOf(id))];
    }

    // Moves

    function _actor(string memory, string memory, uint256 column) internal view override returns (address) {
        return [defender, challenger, bystander][column];
    }

    function _move(string memory, string memory, address) internal pure override returns (address, bytes memory) {
        revert("a move is made by the fixture's player");
    }

    function _try(string memory, string memory name, address actor)
        internal
        override
        returns (bool done, bytes memory result)
    {
        try this.attempt(name, actor) {
            return (true, "");
        } catch (bytes memory refusal) {
            return (false, refusal);
        }
    }

    /// @dev The call, as well made as the phase allows: whole where it fits, empty where it does not.
    function attempt(string calldata name, address mover) external {
        vm.stopPrank(); // of an attempt that was refused
        Match memory m = _match();
        Dispute memory dispute = game.disputeOf(m.id);
        if (_fits(name, dispute.phase)) return _moveBy(m, dispute, name, mover);
        if (_same(name, "oneShot")) return _oneShotBy(m, mover);
        vm.startPrank(mover);
        if (_same(name, "open")) game.open(m.terms, ref(0), 1, m.body, false, 0);
        else if (_same(name, "timeout")) game.timeout(m.id);
        else if (_same(name, "withdraw")) game.withdraw(m.id);
        else _outOfPlace(m, name);
        vm.stopPrank();
    }

    function _moveBy(Match memory m, Dispute memory dispute, string calldata name, address mover) private {
        // A digest is bound to who claims it: there the defender stays who it is.
        if (!_same(name, "proveDigest")) defender = mover;
        challenger = mover;
        if (_same(name, "proveDigest")) proveDigest(m, 0);
        else if (_same(name, "pickStep")) pickStep(m, dispute.digest ? 0 : 1);
        else if (_same(name, "prove")) prove(m, dispute, _firstWrong(m, dispute));
        else if (_same(name, "pickElement")) pickElement(m, dispute, _firstWrong(m, dispute));
        else act(m, dispute);
    }

    function _oneShotBy(Match memory m, address mover) private {
        challenger = mover;
        uint256 step = m.mine.states.length - 1;
        uint256 node = firstDifference(m.mine.leaves[step], m.theirs.leaves[step]);
        Dispute memory dispute;
        (dispute.step, dispute.node) = (uint8(step), uint32(node));
        oneShot(m, step, node, _firstWrong(m, dispute));
    }

    function _firstWrong(Match memory m, Dispute memory dispute) private pure returns (uint256 element) {
        bytes memory own = m.mine.values[dispute.step][dispute.node];
        bytes memory theirs = m.theirs.values[dispute.step][dispute.node];
        while (own[element] == theirs[element]) ++element;
    }

    /// @dev Whether a call is a move of the phase.
    function _fits(string calldata name, Phase phase) private pure returns (bool) {
        if (phase == Phase.States) return _same(name, "revealStates");
        if (phase == Phase.PickStep) return _same(name, "pickStep") || _same(name, "proveDigest");
        if (phase == Phase.Step) return _same(name, "revealStep");
        if (phase == Phase.PickBlock) return _same(name, "pickBlock");
        if (phase == Phase.Nodes) return _same(name, "revealNodes");
        if (phase == Phase.PickNode) return _same(name, "pickNode");
        if (phase == Phase.Chunks) return _same(name, "revealChunks");
        if (phase == Phase.PickChunk) return _same(name, "pickChunk");
        if (phase == Phase.Data) return _same(name, "revealData");
        if (phase == Phase.Prove) return _same(name, "prove") || _same(name, "pickElement");
        if (phase == Phase.Parts) return _same(name, "revealParts");
        return phase == Phase.ProvePart && _same(name, "provePart");
    }

    function _outOfPlace(Match memory m, string calldata name) private {
        bytes32[] memory none = new bytes32[](0);
        LeafProof memory nothing;
        DigestChunk[2] memory chunks;
        if (_same(name, "revealStates")) game.revealStates(m.id, none);
        else if (_same(name, "pickStep")) game.pickStep(m.id, 0, 0, 0, none);
        else if (_same(name, "proveDigest")) game.proveDigest(m.id, m.terms, m.body, 0, none, "", chunks);
        else if (_same(name, "revealStep")) game.revealStep(m.id, none, none);
        else if (_same(name, "pickBlock")) game.pickBlock(m.id, 0, 0, none);
        else if (_same(name, "revealNodes")) game.revealNodes(m.id, none);
        else if (_same(name, "pickNode")) game.pickNode(m.id, m.terms, 0, 0, none, "", "", none);
        else if (_same(name, "revealChunks")) game.revealChunks(m.id, "", none);
        else if (_same(name, "pickChunk")) game.pickChunk(m.id, "", 0, 0, none);
        else if (_same(name, "revealData")) game.revealData(m.id, "", "");
        else if (_same(name, "prove")) game.prove(m.id, m.terms, "", nothing);
        else if (_same(name, "pickElement")) game.pickElement(m.id, m.terms, "", nothing);
        else if (_same(name, "revealParts")) game.revealParts(m.id, "", "");
        else if (_same(name, "provePart")) game.provePart(m.id, m.terms, 0, "", nothing);
        else revert(string.concat("no such call: ", name));
    }
}
