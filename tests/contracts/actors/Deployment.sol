// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AuditCourt} from "../../../contracts/audit/AuditCourt.sol";
import {CourtParts} from "../../../contracts/audit/CourtBase.sol";
import {StartChecker} from "../../../contracts/audit/StartChecker.sol";
import {DataDemands} from "../../../contracts/availability/DataDemands.sol";
import {RandomBeacon} from "../../../contracts/beacon/RandomBeacon.sol";
import {IAuditCourt} from "../../../contracts/interfaces/IAuditCourt.sol";
import {DemandParameters} from "../../../contracts/interfaces/IDataDemands.sol";
import {IProgramChecker} from "../../../contracts/interfaces/IOpExecutor.sol";
import {IReputationLedger} from "../../../contracts/interfaces/IReputationLedger.sol";
import {RevealParameters} from "../../../contracts/interfaces/IRevealers.sol";
import {MarketParts} from "../../../contracts/market/MarketBase.sol";
import {ProgramFaults} from "../../../contracts/market/ProgramFaults.sol";
import {TaskMarket} from "../../../contracts/market/TaskMarket.sol";
import {ReputationLedger} from "../../../contracts/reputation/ReputationLedger.sol";
import {StakeVault} from "../../../contracts/stake/StakeVault.sol";
import {FaucetToken} from "../../../contracts/token/FaucetToken.sol";
import {JackpotTreasury} from "../../../contracts/treasury/JackpotTreasury.sol";
import {UsefulWorkDraw} from "../../../contracts/treasury/UsefulWorkDraw.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Test} from "forge-std/Test.sol";

/// @title A checker whose verdict on every node a test sets.
contract ScriptedChecker is IProgramChecker {
    bool public verdict = true;

    function setVerdict(bool verdict_) external {
        verdict = verdict_;
    }

    function checkNode(bytes calldata, uint256, uint256, uint256, uint256, bool, bytes[] calldata)
        external
        view
        returns (bool)
    {
        return verdict;
    }
}

/// @title A deployment with an account in the dispute game's place.
/// @dev Contracts come from their artifacts (`deployCode`), not by `new`: so no test carries and compiles all of them again.
abstract contract Deployment is Test {
    uint96 internal constant TOKEN = 1 ether;
    uint256 internal constant START_TIME = 1_800_000_000;

    FaucetToken internal token;
    StakeVault internal vault;
    TaskMarket internal market;
    AuditCourt internal court;
    StartChecker internal starts;
    JackpotTreasury internal treasury;
    RandomBeacon internal beacon;
    DataDemands internal demands;
    ProgramFaults internal faults;
    ReputationLedger internal ledger;
    UsefulWorkDraw internal lots;
    ScriptedChecker internal checker;
    Parameters internal numbers;

    /// @dev Acts as the dispute game.
    address internal game = makeAddr("game");

    function deploy() internal {
        vm.warp(START_TIME);
        vm.roll(1000);
        numbers = defaultParameters();
        token = FaucetToken(deployCode("FaucetToken.sol:FaucetToken"));
        checker = new ScriptedChecker();
        faults = ProgramFaults(deployCode("ProgramFaults.sol:ProgramFaults", abi.encode(checker)));
        uint256 nonce = vm.getNonce(address(this));
        address[9] memory circle;
        for (uint256 i = 0; i < circle.length; ++i) {
            circle[i] = vm.computeCreateAddress(address(this), nonce + i);
        }
        beacon = RandomBeacon(circle[5]);
        vault = StakeVault(
            deployCode(
                "StakeVault.sol:StakeVault",
                abi.encode(
                    token, circle[1], circle[2], game, beacon, circle[8], numbers.withdrawalDelay, numbers.weightUnit
                )
            )
        );
        market = TaskMarket(
            deployCode(
                "TaskMarket.sol:TaskMarket",
                abi.encode(
                    MarketParts(vault, IAuditCourt(circle[2]), beacon, faults, IReputationLedger(circle[6]), circle[4]),
                    numbers
                )
            )
        );
        CourtParts memory parts =
            CourtParts(vault, market, beacon, JackpotTreasury(circle[4]), circle[3], game, circle[8]);
        court = AuditCourt(deployCode("AuditCourt.sol:AuditCourt", abi.encode(parts, numbers)));
        starts = StartChecker(deployCode("StartChecker.sol:StartChecker", abi.encode(market, court)));
        treasury =
            JackpotTreasury(deployCode("JackpotTreasury.sol:JackpotTreasury", abi.encode(vault, court, circle[7])));
        deployCode(
            "RandomBeacon.sol:RandomBeacon",
            abi.encode(vault, market, court, treasury, uint64(numbers.beaconDelay), revealNumbers())
        );
        ledger = ReputationLedger(deployCode("ReputationLedger.sol:ReputationLedger", abi.encode(market, court)));
        lots = UsefulWorkDraw(
            deployCode("UsefulWorkDraw.sol:UsefulWorkDraw", abi.encode(market, court, beacon, treasury))
        );
        demands = DataDemands(
            deployCode("DataDemands.sol:DataDemands", abi.encode(vault, market, court, treasury, demandNumbers()))
        );
        assertEq(address(ledger), circle[6]);
        assertEq(address(lots), circle[7]);
        assertEq(address(treasury), circle[4]);
        assertEq(address(demands), circle[8]);
        assertEq(beacon.delay(), numbers.beaconDelay);
    }

    function revealNumbers() internal pure returns (RevealParameters memory) {
        return RevealParameters({seats: 4, bond: 1000 * TOKEN, windowBlocks: 50, tipBps: 500});
    }

    function demandNumbers() internal pure returns (DemandParameters memory) {
        return DemandParameters({
            flatFee: TOKEN / 1000, byteFee: TOKEN / 10_000_000, rate: 1000, response: 6 hours, doubling: 1 hours
        });
    }

    function defaultParameters() internal view virtual returns (Parameters memory p) {
        p.solverDepositMultiple = 3;
        p.claimDepositMultiple = 20;
        p.missMultiple = 2;
        p.minWageMultiple = 1;
        p.minLevyMultiple = 2;
        p.marginBps = 1000;
        p.finderBps = 3000;
        p.compensationBps = 5000;
        p.clearedSolverBps = 2000;
        p.claimBond = 10 * TOKEN;
        p.blindBond = 1 * TOKEN;
        p.weightUnit = 1 * TOKEN;
        p.minAudits = 2;
        p.redraws = 2;
        p.beaconDelay = 2;
        p.drawWindow = 1 days;
        p.acknowledgeWindow = 1 hours;
        p.claimWindow = 12 hours;
        p.maxClaimWindow = 14 days;
        p.unblindWindow = 6 hours;
        p.disputeWindow = 6 hours;
        p.workRate = 10_000_000;
        p.withdrawalDelay = 7 days;
    }

    /// @dev Gives an account tokens it allows the vault to take.
    function fund(address account, uint256 amount) internal {
        vm.startPrank(account);
        token.drip(amount);
        token.approve(address(vault), type(uint256).max);
        vm.stopPrank();
    }

    /// @dev Gives an account free stake.
    function stake(address account, uint96 amount) internal {
        fund(account, amount);
        vm.prank(account);
        vault.deposit(amount);
    }

    /// @dev Everything an account has: tokens, free stake, what it is owed. Engagements are not in it.
    function wealthOf(address account) internal view returns (uint256) {
        return token.balanceOf(account) + vault.freeStakeOf(account) + vault.owedTo(account);
    }
}
