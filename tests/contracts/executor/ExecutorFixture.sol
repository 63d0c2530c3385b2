// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ContractionOps} from "../../../contracts/executor/ContractionOps.sol";
import {FloatOps} from "../../../contracts/executor/FloatOps.sol";
import {GeneratorOps} from "../../../contracts/executor/GeneratorOps.sol";
import {IntegerOps} from "../../../contracts/executor/IntegerOps.sol";
import {LongRows} from "../../../contracts/executor/LongRows.sol";
import {MovementOps} from "../../../contracts/executor/MovementOps.sol";
import {OpExecutor, OpFamilies} from "../../../contracts/executor/OpExecutor.sol";
import {RowOps} from "../../../contracts/executor/RowOps.sol";
import {TranscendentalOps} from "../../../contracts/executor/TranscendentalOps.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A test with the whole executor deployed.
abstract contract ExecutorFixture is Test {
    OpExecutor internal executor;

    function setUp() public virtual {
        executor = new OpExecutor(
            OpFamilies({
                float: new FloatOps(),
                transcendental: new TranscendentalOps(),
                integer: new IntegerOps(),
                contraction: new ContractionOps(),
                row: new RowOps(),
                movement: new MovementOps(),
                generator: new GeneratorOps(),
                longRow: new LongRows()
            })
        );
    }
}
