// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Binary32} from "../../../contracts/executor/Binary32.sol";
import {ExactSum} from "../../../contracts/executor/ExactSum.sol";
import {Lanes} from "../../../contracts/executor/Lanes.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Gives the libraries' calldata functions something to be called through.
contract RowCaller {
    function dot16(bytes calldata a, bytes calldata b) external pure returns (int256) {
        return Lanes.dot16(a, b);
    }

    function maxExponentField(bytes calldata data) external pure returns (uint256) {
        return Lanes.maxExponentField(data);
    }

    function sumAll(bytes calldata data, int256 exponent) external pure returns (int256) {
        (uint256 pointer, uint256 words) = Lanes.load32(data);
        return ExactSum.sumAll(pointer, words, exponent);
    }

    function sumWhere(bytes calldata data, bytes calldata indices, uint256 wanted, int256 exponent)
        external
        pure
        returns (int256)
    {
        (uint256 pointer, uint256 words) = Lanes.load32(data);
        (uint256 indexPointer,) = Lanes.load32(indices);
        return ExactSum.sumWhere(pointer, indexPointer, words, wanted, exponent);
    }
}

/// @notice The routines that take several elements an instruction against loops that take one.
contract RowsTest is Test {
    uint256 private constant MAX_FUZZED_BYTES = 400;

    RowCaller private caller;

    function setUp() public {
        caller = new RowCaller();
    }

    function testFuzz_dot16_anyRows_isTheSumOfProducts(bytes calldata rowA, bytes calldata rowB) public view {
        uint256 length = (rowA.length < rowB.length ? rowA.length : rowB.length) & ~uint256(1);
        bytes calldata a = rowA[:length];
        bytes calldata b = rowB[:length];
        int256 sum = 0;
        for (uint256 i = 0; i < length; i += 2) {
            sum += int256(_int16(a, i)) * _int16(b, i);
        }
        assertEq(caller.dot16(a, b), sum);
    }

    function test_dot16_longestExtremeRows_isExact() public {
        vm.pauseGasMetering();
        int16[3] memory extremes = [type(int16).min, type(int16).max, int16(-16_384)];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 j = 0; j < 3; ++j) {
                int256 sum = caller.dot16(_filled(extremes[i], 16_384), _filled(extremes[j], 16_384));
                assertEq(sum, int256(extremes[i]) * extremes[j] * 16_384);
            }
        }
    }

    function testFuzz_maxExponentField_anyRow_isTheLargest(bytes calldata data) public view {
        bytes calldata row = data[:data.length & ~uint256(3)];
        uint256 largest = 0;
        for (uint256 i = 0; i < row.length; i += 4) {
            uint256 field = (_uint32(row, i) >> 23) & 0xff;
            if (field > largest) largest = field;
        }
        assertEq(caller.maxExponentField(row), largest);
    }

    function testFuzz_sumAll_anyRow_isTheSumOfTerms(bytes calldata data, int256 exponent) public view {
        bytes calldata row = data[:data.length & ~uint256(3)];
        exponent = bound(exponent, -126, 127);
        int256 sum = 0;
        for (uint256 i = 0; i < row.length; i += 4) {
            sum += _term(_uint32(row, i), exponent);
        }
        assertEq(caller.sumAll(row, exponent), sum);
    }

    function testFuzz_sumWhere_anyRow_isTheSumOfMatchingTerms(
        bytes calldata data,
        uint256 pattern,
        uint256 wanted,
        int256 exponent
    ) public view {
        bytes calldata row = data[:data.length & ~uint256(3)];
        exponent = bound(exponent, -126, 127);
        wanted = bound(wanted, 0, 3);
        bytes memory indices = new bytes(row.length);
        int256 sum = 0;
        for (uint256 i = 0; i < row.length; i += 4) {
            uint256 index = (pattern >> ((i / 2) % 256)) & 3;
            indices[i] = bytes1(uint8(index));
            if (index == wanted) sum += _term(_uint32(row, i), exponent);
        }
        assertEq(caller.sumWhere(row, indices, wanted, exponent), sum);
    }

    /// @dev Every sign and exponent field under every block exponent, with fractions that round down, up and tie.
    function test_sumAll_everyFieldUnderEveryExponent_isTheTerm() public {
        vm.pauseGasMetering();
        uint256[3] memory fractions = [uint256(0), 0x400000, 0x7fffff];
        bytes memory row = new bytes(4);
        for (int256 exponent = -126; exponent <= 127; exponent += 11) {
            for (uint256 field = 0; field < 512; ++field) {
                uint256 bits = (field << 23) | fractions[field % 3];
                for (uint256 i = 0; i < 4; ++i) {
                    row[i] = bytes1(uint8(bits >> (8 * i)));
                }
                assertEq(caller.sumAll(row, exponent), _term(bits, exponent));
            }
        }
    }

    function _term(uint256 bits, int256 exponent) private pure returns (int256) {
        return Binary32.isFinite(bits) ? Binary32.scaleToInteger(bits, 33 - exponent, 2 ** 34) : int256(0);
    }

    function _int16(bytes calldata data, uint256 position) private pure returns (int16) {
        return int16(uint16(uint8(data[position])) | (uint16(uint8(data[position + 1])) << 8));
    }

    function _uint32(bytes calldata data, uint256 position) private pure returns (uint256 bits) {
        for (uint256 i = 0; i < 4; ++i) {
            bits |= uint256(uint8(data[position + i])) << (8 * i);
        }
    }

    function _filled(int16 value, uint256 count) private pure returns (bytes memory data) {
        data = new bytes(2 * count);
        for (uint256 i = 0; i < count; ++i) {
            data[2 * i] = bytes1(uint8(uint16(value)));
            data[2 * i + 1] = bytes1(uint8(uint16(value) >> 8));
        }
    }
}
