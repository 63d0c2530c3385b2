// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {
    Chunks,
    Demand,
    DemandState,
    IDataDemands,
    Piece,
    PieceKind,
    Place,
    StatePath,
    Subject
} from "../../../contracts/interfaces/IDataDemands.sol";
import {TaskOffer} from "../../../contracts/interfaces/ITaskMarket.sol";
import {DType} from "../../../contracts/types/DType.sol";
import {Scene} from "../actors/Scene.sol";
import {TestTree} from "../actors/TestTree.sol";
import {Vm} from "forge-std/Vm.sol";

/// @title A task all of whose segments are drawn, with programs and one checkpoint that can be demanded down to the last byte.
abstract contract DemandScene is Scene {
    uint32 internal constant SEGMENT = 2; // starts from the checkpoint that is there
    uint256 internal constant NODES = 40; // two runs
    uint32 internal constant ELEMENTS = 9000; // 36 chunks: two runs; the last chunk has 160 bytes

    bytes[] internal nodes;
    bytes[] internal stateEntries;
    bytes[] internal constantEntries;
    bytes32[] internal stateRoots;

    function setUp() public virtual override {
        super.setUp();
        stake(outsider, 100 * TOKEN);
        for (uint256 i = 0; i < NODES; ++i) {
            nodes.push(abi.encodePacked("node", i));
        }
        stateEntries.push(abi.encodePacked(DType.F32, uint8(0), uint8(1), uint32(5), uint64(0)));
        stateEntries.push(abi.encodePacked(DType.F32, uint8(0), uint8(1), ELEMENTS, uint64(1)));
        stateRoots.push("first");
        stateRoots.push(_tensorRoot(_tensorHeader(), _tensor()));
        constantEntries.push(abi.encodePacked(_constantHeader(), _tensorRoot(_constantHeader(), _constant())));
    }

    function _tensor() internal pure returns (bytes memory) {
        return _bytes(4 * uint256(ELEMENTS));
    }

    function _constant() internal pure returns (bytes memory) {
        return _bytes(2000);
    }

    /// @dev Random bytes; the rest of the last word lies behind them, where memory is free.
    function _bytes(uint256 count) private pure returns (bytes memory data) {
        data = new bytes(count + 32);
        for (uint256 i = 0; i < count; i += 32) {
            bytes32 word = keccak256(abi.encode(i));
            assembly ("memory-safe") {
                mstore(add(add(data, 32), i), word)
            }
        }
        assembly ("memory-safe") {
            mstore(data, count)
        }
    }

    // Trees

    function _tensorHeader() internal pure returns (bytes memory) {
        return abi.encodePacked(DType.F32, uint8(1), ELEMENTS);
    }

    function _constantHeader() internal pure returns (bytes memory) {
        return abi.encodePacked(DType.U8, uint8(1), uint32(2000));
    }

    function _leaves(bytes[] memory list) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            leaves[i] = TestTree.hashLeaf(list[i]);
        }
    }

    function _chunkLeaves(bytes memory data) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[]((data.length + 1023) / 1024);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = TestTree.hashLeaf(_slice(data, 1024 * i, 1024 * i + 1024));
        }
    }

    function _slice(bytes memory data, uint256 start, uint256 end) internal pure returns (bytes memory part) {
        if (end > data.length) end = data.length;
        part = new bytes(end - start);
        assembly ("memory-safe") {
            mcopy(add(part, 32), add(add(data, 32), start), sub(end, start))
        }
    }

    function _tensorRoot(bytes memory header, bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(2), header, TestTree.root(_chunkLeaves(data))));
    }

    function _rootsChunk() internal view returns (bytes memory) {
        return abi.encodePacked(stateRoots[0], stateRoots[1]);
    }

    function _checkpoint() internal view returns (bytes32) {
        return sha256(abi.encodePacked(uint8(2), DType.ROOT, uint8(1), uint32(2), TestTree.hashLeaf(_rootsChunk())));
    }

    function _header(bool init) internal view returns (bytes memory) {
        return abi.encodePacked(
            uint16(1),
            uint32(NODES),
            TestTree.root(_leaves(nodes)),
            uint32(2),
            TestTree.root(_leaves(stateEntries)),
            uint64(37),
            uint32(init ? 0 : 1),
            init ? bytes32(0) : TestTree.root(_leaves(constantEntries)),
            uint32(0),
            bytes32(0),
            init ? INIT_WORK : STEP_WORK
        );
    }

    function defaultOffer() internal view override returns (TaskOffer memory offer) {
        offer = super.defaultOffer();
        offer.audits = 5;
        (offer.stepHeader, offer.initHeader) = (_header(false), _header(true));
    }

    /// @dev Commits to work whose checkpoint before `SEGMENT` is there, and draws all segments.
    function _audit() internal {
        toSolving();
        checkpoints = new bytes32[](5);
        for (uint256 i = 0; i < 5; ++i) {
            checkpoints[i] = i == SEGMENT - 1 ? _checkpoint() : honestEnd(i);
        }
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        workRoot = TestTree.root(leaves);
        bytes32[] memory proof = TestTree.prove(leaves, 4);
        vm.prank(solver);
        market.commit(terms, workRoot, checkpoints[4], proof, "");
        terms.workRoot = workRoot;
        rollToValue();
        court.drawAudits(terms);
    }

    // Demands

    function _piece(PieceKind kind, uint32 index, uint32 run) internal view returns (Piece memory) {
        return Piece(terms.id, SEGMENT, kind, false, index, run);
    }

    function _place(Piece memory piece) internal view returns (Place memory place) {
        if (piece.kind == PieceKind.Link) return place;
        place.header = _header(piece.init);
        if (piece.kind == PieceKind.Constant) {
            (place.entry, place.proof) = (constantEntries[0], TestTree.prove(_leaves(constantEntries), 0));
        } else if (piece.kind == PieceKind.State || piece.kind == PieceKind.Committed) {
            (place.entry, place.proof) = (stateEntries[piece.index], TestTree.prove(_leaves(stateEntries), piece.index));
        }
    }

    /// @dev Demands a piece as `by`; what the answer is held against, from the event.
    function _demand(address by, Piece memory piece) internal returns (Subject memory subject) {
        Place memory place = _place(piece);
        vm.recordLogs();
        vm.prank(by);
        demands.demand(terms, piece, place);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IDataDemands.Demanded.selector) continue;
            (, subject,,) = abi.decode(logs[i].data, (Piece, Subject, uint64, uint96));
        }
    }

    function _answer(Piece memory piece, Subject memory subject) internal {
        if (piece.kind == PieceKind.Link) {
            bytes32[] memory proof = checkpointProof(piece.segment);
            bytes32 start = piece.segment == 0 ? bytes32(0) : checkpoints[piece.segment - 1];
            demands.answerLink(piece, subject, start, checkpoints[piece.segment], proof);
        } else if (piece.kind == PieceKind.Items) {
            (bytes[] memory items, bytes32[] memory proof) = _run(piece.run);
            demands.answerItems(piece, subject, items, proof);
        } else {
            bool state = piece.kind != PieceKind.Constant;
            (bytes memory data, bytes32[] memory proof) = _chunks(state ? _tensor() : _constant(), piece.run);
            StatePath memory path = state ? _path() : StatePath(0, new bytes32[](0), "", new bytes32[](0));
            Chunks memory chunks = Chunks(state ? _tensorHeader() : _constantHeader(), data, proof);
            demands.answerChunks(piece, subject, chunks, path);
        }
    }

    function _run(uint256 run) internal view returns (bytes[] memory items, bytes32[] memory proof) {
        uint256 stop = 32 * run + 32 < NODES ? 32 * run + 32 : NODES;
        items = new bytes[](stop - 32 * run);
        for (uint256 i = 0; i < items.length; ++i) {
            items[i] = nodes[32 * run + i];
        }
        proof = TestTree.proveRange(_leaves(nodes), 32 * run, stop);
    }

    function _chunks(bytes memory data, uint256 run) internal pure returns (bytes memory part, bytes32[] memory proof) {
        bytes32[] memory leaves = _chunkLeaves(data);
        uint256 stop = 32 * run + 32 < leaves.length ? 32 * run + 32 : leaves.length;
        part = _slice(data, 32_768 * run, 1024 * stop);
        proof = TestTree.proveRange(leaves, 32 * run, stop);
    }

    function _path() internal view returns (StatePath memory) {
        return StatePath(
            _checkpoint(), TestTree.prove(TestTree.hashRoots(checkpoints), SEGMENT - 1), _rootsChunk(), new bytes32[](0)
        );
    }

    function _held(Piece memory piece) internal view returns (Demand memory) {
        return demands.demandOf(demands.idOf(piece));
    }

    function _assertState(Piece memory piece, DemandState expected) internal view {
        assertEq(uint8(_held(piece).state), uint8(expected), "state of the demand");
    }

    function _claimDeadline() internal view returns (uint64 deadline) {
        (deadline,,) = court.windowsOf(terms.id, SEGMENT);
    }

    function _otherThan(address account) internal view returns (address) {
        return account == verifier ? secondVerifier : verifier;
    }
}
