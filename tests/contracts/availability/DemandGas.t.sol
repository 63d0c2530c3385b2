// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Piece, PieceKind, Subject} from "../../../contracts/interfaces/IDataDemands.sol";
import {DemandScene} from "./DemandScene.sol";

/// @title What demands and answers cost, as transactions.
/// forge-config: default.isolate = true
contract DemandGasTest is DemandScene {
    /// @dev Of gas: 40 a byte of calldata, and the rest (`lockstep.economics` compares fees with these).
    uint256 internal constant BYTE_GAS = 43;
    uint256 internal constant FLAT_GAS = 150_000;

    function test_answers_gas_isWhatTheFeeCounts() public {
        _audit();
        address drawn = verifierOf(SEGMENT);
        Piece[4] memory pieces = [
            _piece(PieceKind.Link, 0, 0),
            _piece(PieceKind.Items, 0, 0),
            _piece(PieceKind.Constant, 0, 0),
            _piece(PieceKind.State, 1, 0)
        ];
        string[4] memory names = ["link", "items", "constant", "state"];
        for (uint256 i = 0; i < 4; ++i) {
            Subject memory subject = _demand(drawn, pieces[i]);
            vm.snapshotGasLastCall(string.concat("demand ", names[i]));
            _answer(pieces[i], subject);
            uint256 used = vm.lastCallGas().gasTotalUsed;
            vm.snapshotGasLastCall(string.concat("answer ", names[i]));
            assertLe(used, FLAT_GAS + BYTE_GAS * uint256(subject.length), names[i]);
        }
    }

    function test_close_gas() public {
        _audit();
        Piece memory piece = _piece(PieceKind.Link, 0, 0);
        _demand(verifierOf(SEGMENT), piece);
        vm.warp(uint256(_held(piece).deadline) + 1);
        demands.close(piece);
        vm.snapshotGasLastCall("close");
    }
}
