// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CourtKeys} from "../../../contracts/audit/CourtState.sol";
import {ForcedErrors} from "../../../contracts/audit/ForcedErrors.sol";
import {
    ClaimBody,
    ClaimRecord,
    ClaimRef,
    Opening,
    Slot,
    SlotState
} from "../../../contracts/interfaces/IAuditCourt.sol";
import {ITaskMarket, TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Secrets} from "./Secrets.sol";
import {TestTree} from "./TestTree.sol";
import {Vm} from "forge-std/Vm.sol";

/// @title A task with its actors, and a function for each step of its life.
abstract contract Scene is Secrets {
    using TaskMath for TaskTerms;

    address internal submitter = makeAddr("submitter");
    address internal solver = makeAddr("solver");
    address internal verifier = makeAddr("verifier");
    address internal secondVerifier = makeAddr("second verifier");
    address internal whistleblower = makeAddr("whistleblower");
    address internal secondWhistleblower = makeAddr("second whistleblower");
    address internal outsider = makeAddr("outsider");

    uint96 internal constant VERIFIER_STAKE = 1000 * TOKEN;
    uint64 internal constant STEP_WORK = 1_000_000;
    uint64 internal constant INIT_WORK = 1_000_000;

    TaskTerms internal terms;
    /// @dev C_0 .. C_S of the committed work, and what an honest replay of each segment gives.
    bytes32[] internal checkpoints;
    bytes32 internal workRoot;

    function setUp() public virtual {
        deploy();
        fund(submitter, 1_000_000 * TOKEN);
        stake(solver, 10_000 * TOKEN);
        stake(whistleblower, 10_000 * TOKEN);
        stake(secondWhistleblower, 10_000 * TOKEN);
        enroll(verifier, VERIFIER_STAKE);
        enroll(secondVerifier, VERIFIER_STAKE);
        vm.roll(block.number + 1);
    }

    function enroll(address account, uint96 amount) internal {
        stake(account, amount);
        if (numbers.forcedBps != 0) commitTree(account, market.taskCount() + 1);
        vm.prank(account);
        court.registerVerifier(type(uint96).max);
    }

    /// @dev Takes free stake out: notice, its time, and the end of it.
    function withdraw(address account, uint96 amount) internal {
        vm.prank(account);
        vault.requestWithdrawal(amount);
        vm.warp(vm.getBlockTimestamp() + numbers.withdrawalDelay);
        vm.prank(account);
        vault.withdrawStake();
    }

    /// @dev Out of the draws: notice, its time, and the end of it.
    function dismiss(address account) internal {
        vm.prank(account);
        court.retireVerifier();
        vm.warp(vm.getBlockTimestamp() + numbers.withdrawalDelay);
        vm.prank(account);
        court.retireVerifier();
    }

    // Offers

    function programHeader(uint64 work, bytes32 salt) internal pure virtual returns (bytes memory) {
        return abi.encodePacked(
            uint16(1),
            uint32(100),
            salt,
            uint32(6),
            keccak256("state"),
            uint64(40),
            uint32(0),
            bytes32(0),
            uint32(0),
            bytes32(0),
            work
        );
    }

    function defaultOffer() internal view virtual returns (TaskOffer memory offer) {
        offer.stepHeader = programHeader(STEP_WORK, "step");
        offer.initHeader = programHeader(INIT_WORK, "init");
        offer.seed = 7;
        offer.steps = 16;
        offer.segmentSteps = 4;
        offer.audits = 2;
        offer.price = 1 * TOKEN; // c = 4, C = 17
        offer.wage = 6 * TOKEN;
        offer.levy = 8 * TOKEN;
        offer.acceptDeadline = uint64(block.timestamp + 1 days);
        offer.solveWindow = 1 days;
        offer.uri = "file://manifest";
    }

    function submitOffer(TaskOffer memory offer) internal returns (TaskTerms memory posted) {
        vm.recordLogs();
        vm.prank(submitter);
        market.submit(offer);
        return postedTerms();
    }

    /// @dev Terms of the task that was posted since logs are recorded.
    function postedTerms() internal returns (TaskTerms memory posted) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != ITaskMarket.TaskSubmitted.selector) continue;
            (posted,,) = abi.decode(logs[i].data, (TaskTerms, uint96, string));
        }
    }

    // The task's life

    function toOpen() internal {
        terms = submitOffer(defaultOffer());
    }

    function toAccepted() internal {
        if (terms.id == 0) toOpen();
        vm.prank(solver);
        market.accept(terms);
    }

    function toSolving() internal {
        toAccepted();
        vm.prank(solver);
        market.acknowledge(terms);
    }

    /// @dev Commits to honest work, but for the segments whose bit is set in `bad`: those checkpoints are not what a replay gives.
    function toCommitted(uint256 bad) internal {
        toSolving();
        commitWork(bad);
    }

    function commitWork(uint256 bad) internal {
        uint256 count = terms.segmentCount();
        checkpoints = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            checkpoints[i] = bad >> i & 1 == 0 ? honestEnd(i) : keccak256(abi.encode("bad", i));
        }
        workRoot = TestTree.root(TestTree.hashRoots(checkpoints));
        bytes32[] memory proof = TestTree.prove(TestTree.hashRoots(checkpoints), count - 1);
        vm.prank(solver);
        market.commit(terms, workRoot, checkpoints[count - 1], proof, "file://work");
        terms.workRoot = workRoot;
    }

    function toAuditing(uint256 bad) internal {
        toCommitted(bad);
        rollToValue();
        court.drawAudits(terms);
    }

    function rollToValue() internal {
        vm.roll(block.number + beacon.delay() + 1);
    }

    // Segments

    /// @dev Segments drawn, in order.
    function drawnSegments() internal view returns (uint32[] memory segments) {
        segments = new uint32[](terms.audits);
        uint256 found = 0;
        for (uint32 i = 0; i < terms.segmentCount(); ++i) {
            Slot memory slot = court.slotOf(terms.id, i);
            if (slot.state != SlotState.None && slot.round != CourtKeys.CALLED) segments[found++] = i;
        }
        assertEq(found, terms.audits);
    }

    function honestEnd(uint256 segment) internal pure returns (bytes32) {
        return keccak256(abi.encode("honest", segment));
    }

    function bodyFor(uint32 segment, bytes32 endRoot) internal view returns (ClaimBody memory body) {
        if (segment != 0) body.startRoot = checkpoints[segment - 1];
        body.checkpointRoot = checkpoints[segment];
        body.endRoot = endRoot;
        body.digest = new bytes(8 * terms.stepsOf(segment));
    }

    function checkpointProof(uint32 segment) internal view returns (bytes32[] memory) {
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        return segment == 0 ? TestTree.prove(leaves, 0) : TestTree.proveRange(leaves, segment - 1, segment + 1);
    }

    function verifierOf(uint32 segment) internal view returns (address) {
        return court.slotOf(terms.id, segment).verifier;
    }

    /// @dev The drawn verifier claims `endRoot`.
    function claim(uint32 segment, bytes32 endRoot) internal {
        ClaimBody memory body = drawnBody(segment, endRoot);
        bytes32[] memory proof = checkpointProof(segment);
        vm.prank(verifierOf(segment));
        court.postClaim(terms, segment, body, proof);
    }

    function assignmentOf(uint32 segment, uint8 round) internal view returns (bytes32) {
        return keccak256(abi.encode(terms.id, segment, round));
    }

    /// @dev Whether the drawn verifier of the current round is told to err, and where.
    function told(uint32 segment) internal view returns (bool errs, uint256 step) {
        Slot memory slot = court.slotOf(terms.id, segment);
        return ForcedErrors.told(
            secretOf(slot.verifier, salt),
            slot.beaconValue,
            assignmentOf(segment, slot.round),
            terms.stepsOf(segment),
            numbers.forcedBps
        );
    }

    /// @dev What a drawn verifier posts that does as it is told.
    function drawnBody(uint32 segment, bytes32 endRoot) internal view returns (ClaimBody memory body) {
        body = bodyFor(segment, endRoot);
        if (numbers.forcedBps == 0) return body;
        Slot memory slot = court.slotOf(terms.id, segment);
        bytes32 secret = secretOf(slot.verifier, salt);
        bytes32 assignment = assignmentOf(segment, slot.round);
        body.commitment = ForcedErrors.commitmentOf(secret, assignment, RIGHT);
        (bool errs, uint256 step) = told(segment);
        if (errs) putEntry(body, step, ForcedErrors.forcedEntry(secret, assignment));
    }

    function putEntry(ClaimBody memory body, uint256 step, bytes8 entry) internal pure {
        for (uint256 i = 0; i < 8; ++i) {
            body.digest[8 * step + i] = entry[i];
        }
    }

    /// @dev Opening of the drawn verifier's secret for a claim of the current round.
    function openingFor(uint32 segment, ClaimBody memory body) internal view returns (Opening memory opening) {
        Slot memory slot = court.slotOf(terms.id, segment);
        opening.segment = segment;
        opening.round = slot.round;
        opening.secret = secretOf(slot.verifier, salt);
        opening.proof = siblings();
        opening.entry = RIGHT;
        (bool errs,) = told(segment);
        if (!errs) return opening;
        opening.body = new ClaimBody[](1);
        opening.body[0] = body;
    }

    function claimHonestly(uint32 segment) internal {
        claim(segment, honestEnd(segment));
    }

    function blindCommitment(address account, uint32 segment, bytes32 endRoot) internal view returns (bytes32) {
        uint8 round = court.slotOf(terms.id, segment).round;
        bytes32 bodyHash = keccak256(abi.encode(bodyFor(segment, endRoot)));
        return keccak256(abi.encode(account, terms.id, segment, round, bodyHash, bytes32("salt")));
    }

    function placeBlind(address account, uint32 segment, bytes32 endRoot) internal {
        bytes32 commitment = blindCommitment(account, segment, endRoot);
        vm.prank(account);
        court.placeBlind(commitment);
    }

    function unblind(address account, uint32 segment, bytes32 endRoot) internal returns (uint16) {
        ClaimBody memory body = bodyFor(segment, endRoot);
        bytes32[] memory proof = checkpointProof(segment);
        vm.prank(account);
        return court.unblind(terms, segment, body, proof, "salt");
    }

    function refOf(uint32 segment, uint16 index) internal view returns (ClaimRef memory) {
        return ClaimRef(terms.id, segment, court.slotOf(terms.id, segment).round, index);
    }

    function claimOf(uint32 segment, uint16 index) internal view returns (ClaimRecord memory) {
        return court.claimOf(refOf(segment, index));
    }

    function stateOf(uint32 segment) internal view returns (SlotState) {
        return court.slotOf(terms.id, segment).state;
    }

    // Windows

    function passClaimWindow(uint32 segment) internal {
        (uint64 claimDeadline,,) = court.windowsOf(terms.id, segment);
        vm.warp(uint256(claimDeadline) + 1);
    }

    function passUnblindWindow(uint32 segment) internal {
        (, uint64 unblindDeadline,) = court.windowsOf(terms.id, segment);
        vm.warp(uint256(unblindDeadline) + 1);
    }

    function passDisputeWindow(uint32 segment) internal {
        (,, uint64 openDeadline) = court.windowsOf(terms.id, segment);
        vm.warp(uint256(openDeadline) + 1);
    }

    /// @dev A dispute in which the defender falls at once, as the game would report it.
    function convict(uint32 segment, uint16 defender, bool digest, address winner) internal {
        ClaimRef memory ref = refOf(segment, defender);
        vm.startPrank(game);
        court.disputeOpened(ref);
        court.convict(ref, digest, winner);
        court.disputeClosed(ref);
        vm.stopPrank();
    }

    function assertTask(TaskState expected) internal view {
        assertEq(uint8(market.stateOf(terms.id)), uint8(expected), "task state");
    }

    function assertSlot(uint32 segment, SlotState expected) internal view {
        assertEq(uint8(stateOf(segment)), uint8(expected), "segment state");
    }

    // Amounts of the task

    function feeOf() internal view returns (uint96) {
        return uint96(terms.fee());
    }

    function costOf() internal view returns (uint96) {
        return uint96(terms.replayCost());
    }

    function depositOf() internal view returns (uint96) {
        return costOf() * numbers.claimDepositMultiple;
    }
}
