// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {CourtKeys} from "../../../contracts/audit/CourtState.sol";
import {ForcedErrors} from "../../../contracts/audit/ForcedErrors.sol";
import {ClaimBody, ClaimRef, Opening, Slot, SlotState} from "../../../contracts/interfaces/IAuditCourt.sol";
import {DemandState, Piece, PieceKind, Place, Subject} from "../../../contracts/interfaces/IDataDemands.sol";
import {Declaration, Selection} from "../../../contracts/interfaces/ISolverSelection.sol";
import {TaskOffer, TaskState, TaskTerms} from "../../../contracts/interfaces/ITaskMarket.sol";
import {TaskMath} from "../../../contracts/market/TaskMath.sol";
import {Parameters} from "../../../contracts/types/Parameters.sol";
import {Endings} from "../actors/Endings.sol";
import {Options} from "../actors/Options.sol";
import {TestTree} from "../actors/TestTree.sol";

/// @title Random actors: each function picks a task, a segment and an actor and tries something, mostly what the state allows.
/// @dev The account in the dispute game's place opens, closes and convicts at random, within what the court permits.
contract TaskActors is Endings {
    using TaskMath for TaskTerms;

    uint256 internal constant MAX_TASKS = 16;
    uint256 internal constant MAX_WARP = 20 hours;
    uint96 internal constant FUNDS = 200_000 * TOKEN;

    struct Blind {
        address claimant;
        bytes32 commitment;
        uint256 task;
        uint32 segment;
        uint8 round;
        bytes32 endRoot;
    }

    address[] public actors;
    uint256 public minted;
    uint256 public treasuryBefore;
    bool public treasuryFell;
    mapping(bytes32 kind => uint256) public done;

    TaskTerms[] private _tasks;
    uint256[] private _bad;
    Blind[] private _blinds;
    /// @dev Every blind bond's key once: a claim may be placed twice alike.
    bytes32[] private _bonds;
    mapping(bytes32 key => bool) private _isBond;
    ClaimRef[] private _disputes;
    Piece[] private _pieces;
    Subject[] private _subjects;

    /// @dev Set by the constructor: what is immutable in no deployment of other tests.
    uint16 private immutable _forced;

    constructor(uint16 forcedBps) {
        _forced = forcedBps;
    }

    /// @dev Time is the actors' own: what a call sets must be there in the next, and after the run.
    uint256 private _clock;
    uint256 private _height;

    modifier timed() {
        if (_clock != 0) {
            vm.warp(_clock);
            vm.roll(_height);
        }
        _;
        _clock = vm.getBlockTimestamp();
        _height = vm.getBlockNumber();
    }

    modifier watched(bytes32 kind) {
        _;
        ++done[kind];
        // Every verdict brings at least twice what it pays, in the same transaction.
        if (treasury.balance() < treasuryBefore) treasuryFell = true;
        treasuryBefore = treasury.balance();
    }

    function defaultParameters() internal view override returns (Parameters memory p) {
        p = super.defaultParameters();
        (p.forcedBps, p.jackpotMultiple, p.openingWindow) = (_forced, 3, 1 days);
    }

    /// @dev A tree whose leaves are all one secret serves for every task.
    function treeRootOf(address account) private view returns (bytes32 node) {
        node = keccak256(abi.encode(secretOf(account, salt)));
        for (uint256 i = 0; i < ForcedErrors.HEIGHT; ++i) {
            node = keccak256(abi.encodePacked(node, node));
        }
    }

    function siblingsOf(address account) private view returns (bytes32[] memory proof) {
        proof = new bytes32[](ForcedErrors.HEIGHT);
        proof[0] = keccak256(abi.encode(secretOf(account, salt)));
        for (uint256 i = 1; i < ForcedErrors.HEIGHT; ++i) {
            proof[i] = keccak256(abi.encodePacked(proof[i - 1], proof[i - 1]));
        }
    }

    function commitSecrets(address account) private {
        bytes32 root = treeRootOf(account);
        vm.prank(account);
        court.commitSecrets(root);
    }

    function setUp() public override timed {
        deploy();
        for (uint256 i = 0; i < 6; ++i) {
            address actor = makeAddr(string.concat("actor", vm.toString(i)));
            actors.push(actor);
            fund(actor, FUNDS);
            minted += FUNDS;
            vm.startPrank(actor);
            vault.deposit(FUNDS / 2);
            vm.stopPrank();
            if (i < 2) continue;
            if (_forced != 0) commitSecrets(actor);
            vm.prank(actor);
            court.registerVerifier(FUNDS / 4); // the other half of its stake is idle
        }
        vm.roll(vm.getBlockNumber() + 1);
    }

    // Accounts

    function moveStake(uint256 actorSeed, uint96 amount, uint8 choice) external timed watched("stake") {
        address actor = _actor(actorSeed);
        vm.startPrank(actor);
        if (choice % 7 == 0) {
            vault.deposit(uint96(amount % (token.balanceOf(actor) + 1)));
        } else if (choice % 7 == 1) {
            vault.requestWithdrawal(amount % (vault.freeStakeOf(actor) / 20 + 1));
        } else if (choice % 7 == 2) {
            vault.restake(vault.owedTo(actor));
        } else if (choice % 7 == 3) {
            vault.owedTo(actor) % 2 == 0 ? vault.withdrawOwed() : vault.withdrawStake();
        } else if (choice % 7 == 4) {
            court.registerVerifier(amount % (vault.freeStakeOf(actor) / 2 + 1));
        } else if (choice % 7 == 5) {
            court.retireVerifier();
        } else {
            court.refreshVerifier(_actor(actorSeed >> 8));
        }
        vm.stopPrank();
    }

    function passTime(uint256 seconds_, uint256 blocks) external timed watched("time") {
        // No `bound`: it writes every result to the console.
        vm.warp(vm.getBlockTimestamp() + 1 + seconds_ % MAX_WARP);
        vm.roll(vm.getBlockNumber() + 1 + blocks % 5);
    }

    // Tasks

    function submit(uint256 actorSeed, uint256 seed) external timed watched("submit") {
        require(_tasks.length < MAX_TASKS, "enough tasks");
        TaskOffer memory offer = defaultOffer();
        offer.steps = uint32(1 + seed % 12);
        offer.segmentSteps = uint16(1 + (seed >> 8) % 4);
        uint256 segments = (offer.steps + offer.segmentSteps - 1) / offer.segmentSteps + 1;
        offer.audits = uint16(2 + (seed >> 16) % (segments - 1));
        offer.price = uint96(1 + (seed >> 32) % (2 * TOKEN));
        if (_forced != 0) offer.levy = 200 * TOKEN;
        offer.acceptDeadline = uint64(vm.getBlockTimestamp() + 2 days);
        uint256 choices = uint256(keccak256(abi.encode(seed))); // small seeds are to come to all kinds of tasks too
        uint256 applyDeadline = choices & 3 == 0 ? vm.getBlockTimestamp() + 6 hours : 0;
        submitter = _actor(actorSeed);
        uint256 parent = choices & 4 == 0 ? 0 : _settledTask();
        if (parent == 0) {
            offer.options = Options.pack(0, 0, applyDeadline, 0);
            _tasks.push(submitOffer(offer));
        } else {
            offer.audits = uint16(segments - 1);
            offer.initHeader = offer.stepHeader;
            offer.options = Options.pack(uint64(parent), offer.steps, applyDeadline, 0);
            _tasks.push(_stack(offer, parent));
        }
        _bad.push(seed >> 128);
    }

    /// @dev The first settled task, 0 for none.
    function _settledTask() private view returns (uint256) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            if (market.stateOf(_tasks[i].id) == TaskState.Settled) return _tasks[i].id;
        }
        return 0;
    }

    function _stack(TaskOffer memory offer, uint256 parent) private returns (TaskTerms memory) {
        _load(_taskIndex(parent));
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        bytes32[] memory proof = TestTree.prove(leaves, leaves.length - 1);
        vm.recordLogs();
        vm.prank(submitter);
        market.submitStacked(offer, terms, checkpoints[leaves.length - 1], proof);
        ++done["stacked"];
        return postedTerms();
    }

    /// @dev What comes next in a task's life, most of the time; or all that comes until it is audited: few runs would get there step by step.
    function live(uint256 taskSeed, uint256 actorSeed, uint8 choice) external timed watched("live") {
        uint256 index = _loadIn(taskSeed, TaskState.Open, TaskState.Auditing);
        if (choice % 16 == 9) return _liveToExpiry(index, _actor(actorSeed));
        _live(index, _actor(actorSeed), choice);
        if (choice >= 32) _liveToAudit(index, _actor(actorSeed), choice);
    }

    /// @dev The solver accepts and delivers nothing.
    function _liveToExpiry(uint256 index, address actor) private {
        while (market.stateOf(terms.id) < TaskState.Solving) {
            _live(index, actor, type(uint8).max);
        }
        require(market.stateOf(terms.id) == TaskState.Solving, "past that");
        _expire();
    }

    function _liveToAudit(uint256 index, address actor, uint8 choice) private {
        while (market.stateOf(terms.id) > TaskState.None && market.stateOf(terms.id) < TaskState.Auditing) {
            _live(index, actor, choice);
        }
    }

    /// @dev Honest claims and the end of a task, from wherever it is: few runs get there by themselves, and a stacked task needs a settled one.
    function settleHonestly(uint256 taskSeed, uint256 actorSeed) external timed watched("settle") {
        _settleHonestly(_loadIn(taskSeed, TaskState.Open, TaskState.Auditing), _actor(actorSeed));
    }

    function _settleHonestly(uint256 index, address actor) private {
        _liveToAudit(index, actor, type(uint8).max);
        require(market.stateOf(terms.id) == TaskState.Auditing, "ended otherwise");
        uint32[] memory segments = drawnSegments();
        for (uint256 i = 0; i < segments.length; ++i) {
            claimHonestly(segments[i]);
        }
        passDisputeWindow(segments[0]);
        market.settle(terms);
    }

    function _live(uint256 index, address actor, uint8 choice) private {
        TaskState state = market.stateOf(terms.id);
        solver = market.solverOf(terms.id);
        if (state == TaskState.Open) {
            if (choice < 16) actor = terms.submitter;
            else if (terms.isDrawn() && _select(actor, choice)) return;
            vm.prank(actor);
            choice < 16 ? market.cancel(terms) : market.accept(terms);
        } else if (state == TaskState.Accepted) {
            vm.prank(solver);
            choice < 16 ? market.giveBack(terms) : market.acknowledge(terms);
        } else if (state == TaskState.Solving) {
            if (choice < 8) market.voidInvalidProgram(terms, fault());
            else if (choice < 24) _expire();
            else _commit(index);
        } else if (state == TaskState.Committed) {
            if (choice < 8) market.voidInvalidProgram(terms, fault());
            else if (choice < 16) market.expireUndrawn(terms);
            else _draw();
        } else if (state == TaskState.Auditing) {
            if (choice < 8) market.voidInvalidProgram(terms, fault());
            else market.settle(terms);
        }
    }

    /// @dev The next step of a solver's draw; false where there is none any more.
    function _select(address actor, uint8 choice) private returns (bool) {
        Selection memory selection = market.selectionOf(terms.id);
        if (vm.getBlockTimestamp() <= terms.options.applyDeadline()) {
            vm.prank(actor);
            market.applyToSolve(terms, 3 * feeOf() * (1 + choice % 3), Declaration(choice, choice, choice));
            vm.prank(_actor(choice));
            try market.applyToSolve(terms, 3 * feeOf(), Declaration(choice, choice, 0)) {} catch {}
            if (choice >= 32) vm.warp(uint256(terms.options.applyDeadline()) + 1);
        } else if (!selection.closed && selection.count != 0) {
            market.closeApplications(terms);
            vm.roll(vm.getBlockNumber() + beacon.delay() + 1);
        } else if (selection.closed && vm.getBlockTimestamp() <= market.deadlineOf(terms.id)) {
            market.drawSolver(terms);
            ++done["drawn"];
        } else {
            return false;
        }
        return true;
    }

    /// @dev The first application from a task on whose stake is still held, of a task that is not open.
    function releaseApplication(uint256 taskSeed, uint256 actorSeed) external timed watched("release") {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            _load(addmod(taskSeed, i, _tasks.length));
            if (!terms.isDrawn() || market.stateOf(terms.id) == TaskState.Open) continue;
            for (uint256 j = 0; j < actors.length; ++j) {
                address actor = actors[addmod(actorSeed, j, actors.length)];
                (address account,) = vault.engagementOf(address(market), _applicationKey(terms.id, actor));
                if (account != address(0)) return market.releaseApplication(terms, actor);
            }
        }
        revert("nothing to release");
    }

    /// @dev To a moment after a deadline; never back from where another task's end has brought the clock.
    function _warpPast(uint256 deadline) private {
        if (vm.getBlockTimestamp() <= deadline) vm.warp(deadline + 1);
    }

    function _passDisputes(uint32 segment) private {
        (,, uint64 openDeadline) = court.windowsOf(terms.id, segment);
        _warpPast(openDeadline);
    }

    function _expire() private {
        _warpPast(market.deadlineOf(terms.id));
        market.expire(terms);
    }

    function _commit(uint256) private {
        bytes32[] memory leaves = TestTree.hashRoots(checkpoints);
        bytes32[] memory proof = TestTree.prove(leaves, leaves.length - 1);
        bytes32[] memory first = TestTree.prove(leaves, 0);
        bytes32 root = TestTree.root(leaves); // before the prank, which a call of the hash's precompile would use up
        vm.prank(solver);
        if (terms.isStacked()) market.commitStacked(terms, root, checkpoints[leaves.length - 1], proof, first, "");
        else market.commit(terms, root, checkpoints[leaves.length - 1], proof, "");
        terms.workRoot = root;
        _tasks[_taskIndex(terms.id)].workRoot = root;
    }

    function _draw() private {
        uint256 target = beacon.targetOf(address(market), bytes32(terms.id));
        if (vm.getBlockNumber() <= target) vm.roll(target + 1);
        court.drawAudits(terms);
    }

    // Audits

    /// @dev Who will be drawn draws, and claims a segment at once.
    function drawAndClaim(uint256 taskSeed, uint256 segmentSeed, uint8 choice)
        external
        timed
        watched("draw and claim")
    {
        uint256 index = _loadIn(taskSeed, TaskState.Open, TaskState.Committed);
        while (market.stateOf(terms.id) < TaskState.Committed) {
            _live(index, _actor(segmentSeed), type(uint8).max);
        }
        uint256 before = vm.snapshotState();
        _draw();
        uint32 segment = _segment(segmentSeed);
        ClaimBody memory body = drawnBody(segment, _endRoot(segment, choice));
        address drawn = verifierOf(segment);
        uint256 height = vm.getBlockNumber();
        vm.revertToStateAndDelete(before);
        vm.roll(height);
        bytes32[] memory proof = checkpointProof(segment);
        vm.prank(drawn);
        court.drawAndClaim(terms, segment, body, proof);
    }

    function postClaim(uint256 taskSeed, uint256 segmentSeed, uint8 choice) external timed watched("claim") {
        uint256 index = _loadIn(taskSeed, TaskState.Open, TaskState.Auditing);
        if (choice >= 32) _liveToAudit(index, _actor(segmentSeed), choice);
        uint32 segment = _segment(segmentSeed);
        claim(segment, _endRoot(segment, choice));
    }

    function placeBlindClaim(uint256 taskSeed, uint256 segmentSeed, uint256 actorSeed, uint8 choice)
        external
        timed
        watched("blind")
    {
        _loadIn(taskSeed, TaskState.Auditing, TaskState.Auditing);
        uint32 segment = _segment(segmentSeed);
        address actor = _actor(actorSeed);
        bytes32 endRoot = _endRoot(segment, choice);
        Slot memory slot = court.slotOf(terms.id, segment);
        require(slot.state == SlotState.Drawn, "no audit");
        bytes32 commitment = blindCommitment(actor, segment, endRoot);
        vm.prank(actor);
        court.placeBlind(commitment);
        Blind memory blind = Blind(actor, commitment, _taskIndex(terms.id), segment, slot.round, endRoot);
        _blinds.push(blind);
        bytes32 key = _blindKey(blind);
        if (!_isBond[key]) _bonds.push(key);
        _isBond[key] = true;
    }

    /// @dev A task is brought to its audit: few runs get there by themselves while segments may be called up.
    function callUp(uint256 taskSeed, uint256 segmentSeed, uint256 actorSeed, uint8 choice)
        external
        timed
        watched("call")
    {
        _liveToAudit(_loadIn(taskSeed, TaskState.Open, TaskState.Auditing), _actor(actorSeed), type(uint8).max);
        uint256 count = terms.segmentCount();
        uint32 segment = uint32(segmentSeed % count);
        for (uint256 i = 0; i < count && stateOf(segment) != SlotState.None; ++i) {
            segment = uint32((segment + 1) % count);
        }
        ClaimBody memory body = bodyFor(segment, _endRoot(segment, choice));
        bytes32[] memory proof = checkpointProof(segment);
        vm.prank(_actor(actorSeed >> 8));
        court.callUp(terms, segment, body, proof);
        ++done["called"];
    }

    function openBlind(uint256 seed, bool waits) external timed watched("unblind") {
        require(_blinds.length != 0, "nothing blind");
        Blind memory blind = _blinds[seed % _blinds.length];
        _load(blind.task);
        if (waits && market.stateOf(terms.id) == TaskState.Auditing) {
            (uint64 claimDeadline, uint64 unblindDeadline,) = court.windowsOf(terms.id, blind.segment);
            if (vm.getBlockTimestamp() <= claimDeadline) vm.warp(claimDeadline + 1);
            require(vm.getBlockTimestamp() <= unblindDeadline, "too late");
        }
        if (market.stateOf(terms.id) == TaskState.Void) {
            bytes32 bodyHash = keccak256(abi.encode(bodyFor(blind.segment, blind.endRoot)));
            vm.prank(blind.claimant);
            court.reclaimBlind(terms, blind.segment, blind.round, bodyHash, "salt");
        } else {
            unblind(blind.claimant, blind.segment, blind.endRoot);
        }
        ++done["opened"];
    }

    function forfeit(uint256 seed) external timed watched("forfeit") {
        require(_blinds.length != 0, "nothing blind");
        Blind memory blind = _blinds[seed % _blinds.length];
        if (seed % 8 == 0) vm.warp(vm.getBlockTimestamp() + _longestBlind());
        court.forfeitBlind(blind.claimant, blind.commitment);
    }

    function dispute(uint256 taskSeed, uint256 segmentSeed, uint16 indexSeed, uint256 winnerSeed, uint8 choice)
        external
        timed
        watched("dispute")
    {
        _loadIn(taskSeed, TaskState.Auditing, TaskState.Auditing);
        uint32 segment = _segment(segmentSeed);
        Slot memory slot = court.slotOf(terms.id, segment);
        require(slot.claims > 1 && slot.state == SlotState.Drawn, "nothing to dispute");
        (, uint64 opens, uint64 closes) = court.windowsOf(terms.id, segment);
        if (choice & 4 != 0 && vm.getBlockTimestamp() <= opens) vm.warp(opens + 1);
        require(vm.getBlockTimestamp() <= closes, "too late");
        _accuse(segment, indexSeed % slot.claims, _actor(winnerSeed), choice);
    }

    /// @dev The game opens a dispute against a claim and closes it with a verdict, or leaves it open.
    function _accuse(uint32 segment, uint16 index, address winner, uint8 choice) private {
        ClaimRef memory ref = refOf(segment, index);
        vm.startPrank(game);
        court.disputeOpened(ref);
        if (choice & 1 == 0) {
            // Of a digest's convictions half are by proof, of the entry that may have been forced.
            (, uint256 step) = told(segment);
            if (choice & 2 == 0) court.convict(ref, false, winner);
            else if (choice & 8 == 0) court.convict(ref, true, winner);
            else court.convictDigest(ref, uint8(step), RIGHT, winner);
            court.disputeClosed(ref);
            ++done["convicted"];
        } else {
            _disputes.push(ref);
        }
        vm.stopPrank();
    }

    /// @dev A whole audit in one call: all drawn verifiers claim, one of them or a rival lies, one is accused, and perhaps the task is settled. Step by step
    /// few come so far, for the clock is every task's.
    function contest(uint256 taskSeed, uint256 segmentSeed, uint256 actorSeed, uint8 choice)
        external
        timed
        watched("contest")
    {
        _liveToAudit(_loadIn(taskSeed, TaskState.Open, TaskState.Committed), _actor(actorSeed), type(uint8).max);
        require(market.stateOf(terms.id) == TaskState.Auditing, "ended otherwise");
        uint32 contested = _segment(segmentSeed);
        bytes32[2] memory ends = [honestEnd(contested), checkpoints[contested]];
        if (ends[0] == ends[1]) ends[1] = "other";
        uint256 rivals = choice & 1; // whether the rival's is the wrong one
        address rival = _actor(actorSeed / 7 + choice);
        placeBlind(rival, contested, ends[rivals]);
        uint32[] memory segments = drawnSegments();
        for (uint256 i = 0; i < segments.length; ++i) {
            claim(segments[i], segments[i] == contested ? ends[1 - rivals] : honestEnd(segments[i]));
        }
        (uint64 claimDeadline, uint64 unblindDeadline,) = court.windowsOf(terms.id, contested);
        _warpPast(claimDeadline);
        uint16 place = unblind(rival, contested, ends[rivals]);
        _warpPast(unblindDeadline);
        _accuse(contested, choice & 2 == 0 ? place : 0, rival, choice >> 2);
        if (choice & 64 == 0) return;
        _passDisputes(contested);
        market.settle(terms);
    }

    function closeDispute(uint256 seed, uint256 winnerSeed, bool convicts) external timed watched("close dispute") {
        require(_disputes.length != 0, "no dispute");
        uint256 index = seed % _disputes.length;
        _closeDispute(index, convicts ? _actor(winnerSeed) : address(0));
    }

    function _closeDispute(uint256 index, address winner) private {
        ClaimRef memory ref = _disputes[index];
        vm.startPrank(game);
        if (winner != address(0) && court.slotOf(ref.task, ref.segment).state == SlotState.Drawn) {
            court.convict(ref, false, winner);
        }
        court.disputeClosed(ref);
        vm.stopPrank();
        _disputes[index] = _disputes[_disputes.length - 1];
        _disputes.pop();
    }

    function finalizeSegment(uint256 taskSeed, uint256 segmentSeed, uint8 steps, bool waits)
        external
        timed
        watched("finalize")
    {
        _loadIn(taskSeed, TaskState.Auditing, TaskState.Auditing);
        uint32 segment = _segment(segmentSeed);
        if (waits) _passDisputes(segment);
        court.finalize(terms, segment, steps);
    }

    function redrawSegment(uint256 taskSeed, uint256 segmentSeed) external timed watched("redraw") {
        _loadIn(taskSeed, TaskState.Auditing, TaskState.Auditing);
        uint32 segment = _segment(segmentSeed);
        if (stateOf(segment) == SlotState.Drawn) {
            _passDisputes(segment);
            court.finalize(terms, segment, type(uint8).max);
        }
        vm.roll(vm.getBlockNumber() + beacon.delay() + 1);
        court.redraw(terms, segment);
    }

    /// @dev Of a task that has ended the first claim that is still open, of a segment and the rounds from one on; half of the time once its secret is late.
    function closeClaim(uint256 taskSeed, uint256 segmentSeed, uint8 first, bool waits)
        external
        timed
        watched("close")
    {
        _loadIn(taskSeed, TaskState.Settled, TaskState.Void);
        uint32 segment = _segment(segmentSeed);
        if (waits && _forced != 0) vm.warp(vm.getBlockTimestamp() + numbers.openingWindow + 1);
        Slot memory slot = court.slotOf(terms.id, segment);
        uint256 start = _firstRound(slot);
        uint256 rounds = uint256(slot.round) + 1 - start;
        for (uint256 i = 0; i < rounds; ++i) {
            uint8 round = uint8(start + addmod(first, i, rounds));
            uint16 claims = _claimsOf(segment, round);
            for (uint16 index = 0; index < claims; ++index) {
                if (_isHeld(segment, round, index)) return court.closeClaim(terms, segment, round, index);
            }
        }
        revert("nothing to close");
    }

    /// @dev A segment that was called up has no round but that.
    function _firstRound(Slot memory slot) private pure returns (uint256) {
        return slot.round == CourtKeys.CALLED ? slot.round : 0;
    }

    /// @dev Claims of a round, the drawn verifier's counted whether it is there or not.
    function _claimsOf(uint32 segment, uint8 round) private view returns (uint16 count) {
        count = 1;
        while (court.claimOf(ClaimRef(terms.id, segment, round, count)).claimant != address(0)) ++count;
    }

    /// @dev Whether a claim's deposit, or that of the verifier of the last round which did not claim, is still held.
    function _isHeld(uint32 segment, uint8 round, uint16 index) private view returns (bool) {
        address claimant = court.claimOf(ClaimRef(terms.id, segment, round, index)).claimant;
        Slot memory slot = court.slotOf(terms.id, segment);
        if (index == 0 && round == slot.round && slot.held) return true;
        if (index == 0 && round == slot.round && claimant == address(0)) claimant = slot.verifier;
        bytes32 key = CourtKeys.engagement(CourtKeys.slotKey(terms.id, segment), round, claimant);
        (address account,) = vault.engagementOf(address(court), key);
        return account != address(0);
    }

    /// @dev Opens the secret of a claim of the last round; a forced error pays what the treasury has, and the rest is owed.
    function openSecret(uint256 taskSeed, uint256 segmentSeed, bool waits) external timed {
        _loadIn(taskSeed, TaskState.Auditing, TaskState.Void);
        uint32 segment = _segment(segmentSeed);
        if (waits && market.stateOf(terms.id) == TaskState.Auditing) {
            _finish();
            treasuryBefore = treasury.balance();
        }
        Slot memory slot = court.slotOf(terms.id, segment);
        bytes32 endRoot = court.claimOf(ClaimRef(terms.id, segment, slot.round, 0)).endRoot;
        if (endRoot == 0) endRoot = checkpoints[segment];
        Opening memory opening = openingFor(segment, drawnBody(segment, endRoot));
        opening.proof = siblingsOf(slot.verifier);
        uint256 before = treasury.balance();
        court.openSecret(terms, opening);
        ++done["secrets"];
        uint256 most = uint256(costOf()) * numbers.jackpotMultiple * 5 / 4;
        if (treasury.balance() + most < before) treasuryFell = true;
        treasuryBefore = treasury.balance();
    }

    /// @dev A settled task's first lot that wins and was not paid; the bonus is what the treasury has of it, and the rest is owed.
    function collectBonus(uint256 taskSeed, uint256 actorSeed) external timed {
        uint256 index = _loadIn(taskSeed, TaskState.Open, TaskState.Settled);
        if (market.stateOf(terms.id) != TaskState.Settled) _settleHonestly(index, _actor(actorSeed));
        treasuryBefore = treasury.balance();
        uint32[] memory segments = drawnSegments();
        for (uint256 i = 0; i < segments.length; ++i) {
            uint32 segment = segments[i];
            bytes32 ticket = keccak256(abi.encode("useful work", terms.id, segment));
            if (segment == 0 || !lots.wins(terms.id, segment) || treasury.paid(ticket)) continue;
            lots.collect(terms, segment, checkpoints[segment - 1], checkpoints[segment], checkpointProof(segment));
            ++done["bonuses"];
            break;
        }
        if (treasury.balance() + lots.bonusOf(terms) < treasuryBefore) treasuryFell = true;
        treasuryBefore = treasury.balance();
    }

    function payArrears(uint256 actorSeed) external timed {
        treasury.payArrears(_actor(actorSeed));
        treasuryBefore = treasury.balance();
    }

    // Data

    /// @dev A link, or the step program's only node, of a task that is brought to its audit: few runs get there by themselves.
    function demandData(uint256 taskSeed, uint256 segmentSeed, uint256 actorSeed, uint8 choice)
        external
        timed
        watched("demand")
    {
        _liveToAudit(_loadIn(taskSeed, TaskState.Open, TaskState.Auditing), _actor(actorSeed), type(uint8).max);
        uint32 segment = _segment(segmentSeed);
        bool link = choice % 2 == 0 || segment == 0;
        Piece memory piece = Piece(terms.id, segment, link ? PieceKind.Link : PieceKind.Items, false, 0, 0);
        Place memory place;
        if (!link) place.header = programHeader(STEP_WORK, "step");
        Subject memory subject = link
            ? Subject(terms.workRoot, 0, uint32(terms.segmentCount()), 0, 1024)
            : Subject(NODE_LEAF, 0, 1, 0, 256 + 30 + 1024);
        address actor = choice % 3 == 0 ? _actor(actorSeed) : verifierOf(segment);
        vm.prank(actor);
        demands.demand(terms, piece, place);
        _pieces.push(piece);
        _subjects.push(subject);
    }

    /// @dev An open demand, if there is one; most calls would come to others.
    function _openDemand(uint256 seed) private view returns (uint256 index) {
        require(_pieces.length != 0, "nothing demanded");
        for (uint256 i = 0; i < _pieces.length; ++i) {
            index = addmod(seed, i, _pieces.length);
            if (demands.demandOf(demands.idOf(_pieces[index])).state == DemandState.Open) return index;
        }
    }

    function answerData(uint256 seed) external timed watched("answer") {
        uint256 index = _openDemand(seed);
        Piece memory piece = _pieces[index];
        _load(piece.task - 1);
        if (piece.kind == PieceKind.Items) {
            bytes[] memory items = new bytes[](1);
            items[0] = NODE;
            demands.answerItems(piece, _subjects[index], items, new bytes32[](0));
        } else {
            bytes32[] memory proof = checkpointProof(piece.segment);
            bytes32 start = piece.segment == 0 ? bytes32(0) : checkpoints[piece.segment - 1];
            demands.answerLink(piece, _subjects[index], start, checkpoints[piece.segment], proof);
        }
        ++done["answered"];
    }

    function joinDemand(uint256 seed) external timed watched("join") {
        Piece memory piece = _pieces[_openDemand(seed)];
        vm.prank(court.slotOf(piece.task, piece.segment).verifier);
        demands.join(piece);
        ++done["joined"];
    }

    function closeDemand(uint256 seed, uint8 choice) external timed watched("close demand") {
        Piece memory piece = _pieces[_openDemand(seed)];
        uint256 deadline = demands.demandOf(demands.idOf(piece)).deadline;
        if (choice & 3 != 0) _warpPast(deadline);
        demands.close(piece);
        ++done["closed demands"];
    }

    // The permissionless way out

    /// @dev Nobody but the clock and passers-by: every task ends, every claim is closed, every blind bond is spent or forfeited.
    function finishEverything() external timed {
        while (_disputes.length != 0) _closeDispute(0, address(0));
        for (uint256 i = 0; i < _tasks.length; ++i) {
            _load(i);
            _finish();
            _releaseAll();
            if (market.stateOf(terms.id) > TaskState.Void) continue;
            if (_forced != 0) vm.warp(vm.getBlockTimestamp() + numbers.openingWindow + 1);
            _closeAll();
        }
        for (uint256 i = 0; i < _pieces.length; ++i) {
            bool open = demands.demandOf(demands.idOf(_pieces[i])).state == DemandState.Open;
            if (open) demands.close(_pieces[i]);
        }
        vm.warp(vm.getBlockTimestamp() + _longestBlind());
        for (uint256 i = 0; i < _blinds.length; ++i) {
            (address account,) = vault.engagementOf(address(court), _blindKey(_blinds[i]));
            if (account != address(0)) court.forfeitBlind(_blinds[i].claimant, _blinds[i].commitment);
        }
    }

    /// @dev After so long a blind claim can be opened no more, whatever it is about.
    function _longestBlind() private view returns (uint256) {
        return 2 * uint256(numbers.maxClaimWindow) + numbers.unblindWindow + 1;
    }

    function _finish() private {
        TaskState state = market.stateOf(terms.id);
        if (state == TaskState.Open || state == TaskState.Accepted) {
            vm.warp(vm.getBlockTimestamp() + 3 days);
            if (state == TaskState.Accepted) market.giveBack(terms);
            market.cancel(terms);
        } else if (state == TaskState.Solving) {
            _expire();
        } else if (state == TaskState.Committed) {
            _warpPast(market.deadlineOf(terms.id));
            market.expireUndrawn(terms);
        } else if (state == TaskState.Auditing) {
            for (uint32 segment = 0; segment < terms.segmentCount(); ++segment) {
                if (stateOf(segment) != SlotState.None) _decide(segment);
            }
            market.settle(terms);
        }
    }

    function _releaseAll() private {
        for (uint256 i = 0; terms.isDrawn() && i < actors.length; ++i) {
            (address account,) = vault.engagementOf(address(market), _applicationKey(terms.id, actors[i]));
            if (account != address(0)) market.releaseApplication(terms, account);
        }
    }

    function _applicationKey(uint256 id, address account) private pure returns (bytes32) {
        return keccak256(abi.encode("application", id, account));
    }

    function _decide(uint32 segment) private {
        while (true) {
            SlotState state = stateOf(segment);
            if (state > SlotState.Redrawing) return;
            vm.warp(vm.getBlockTimestamp() + 2 * uint256(numbers.maxClaimWindow));
            court.finalize(terms, segment, 1000);
        }
    }

    function _closeAll() private {
        uint256 count = terms.segmentCount();
        for (uint32 segment = 0; segment < count; ++segment) {
            Slot memory slot = court.slotOf(terms.id, segment);
            if (slot.state == SlotState.None) continue;
            for (uint256 round = _firstRound(slot); round <= slot.round; ++round) {
                uint16 claims = _claimsOf(segment, uint8(round));
                for (uint16 index = 0; index < claims; ++index) {
                    if (_isHeld(segment, uint8(round), index)) court.closeClaim(terms, segment, uint8(round), index);
                }
            }
        }
    }

    // Sums

    function sumOfAccounts() public view returns (uint256 total) {
        for (uint256 i = 0; i < actors.length; ++i) {
            total += wealthOf(actors[i]) - token.balanceOf(actors[i]);
        }
        total += vault.owedTo(address(market)) + treasury.balance();
    }

    function vaultBalance() external view returns (uint256) {
        return token.balanceOf(address(vault));
    }

    function marketOwed() external view returns (uint256) {
        return vault.owedTo(address(market));
    }

    function sumOfTokens() public view returns (uint256 total) {
        for (uint256 i = 0; i < actors.length; ++i) {
            total += token.balanceOf(actors[i]);
        }
        total += token.balanceOf(address(vault)) + token.balanceOf(address(market)) + token.balanceOf(address(court))
        + token.balanceOf(address(treasury));
    }

    function sumOfEscrows() public view returns (uint256 total) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            TaskState state = market.stateOf(_tasks[i].id);
            if (state < TaskState.Settled) total += _tasks[i].escrow(numbers.marginBps);
        }
    }

    /// @dev What the tasks' pool holds of solvers and drawn verifiers, by the books of market and court.
    function sumOfHeld() public view returns (uint256 total) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            TaskTerms memory task = _tasks[i];
            total += _sumOfCompensations(task);
            TaskState state = market.stateOf(task.id);
            if (state >= TaskState.Accepted && state <= TaskState.Auditing) {
                total += task.fee() * numbers.solverDepositMultiple;
            }
            uint256 stake = task.replayCost() * numbers.claimDepositMultiple + numbers.claimBond;
            for (uint32 segment = 0; segment < task.segmentCount(); ++segment) {
                if (court.slotOf(task.id, segment).held) total += stake;
            }
        }
    }

    /// @dev What a cancelled task's applicants have not fetched yet.
    function _sumOfCompensations(TaskTerms memory task) private view returns (uint256 total) {
        uint96 each = task.isDrawn() ? market.selectionOf(task.id).compensation : 0;
        for (uint256 j = 0; each != 0 && j < actors.length; ++j) {
            (, uint96 held) = vault.engagementOf(address(market), _applicationKey(task.id, actors[j]));
            if (held != 0) total += each;
        }
    }

    function sumOfEngagements() public view returns (uint256 total) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            TaskTerms memory task = _tasks[i];
            (, uint96 held) = vault.engagementOf(address(market), bytes32(task.id));
            total += held;
            for (uint256 j = 0; task.isDrawn() && j < actors.length; ++j) {
                (, held) = vault.engagementOf(address(market), _applicationKey(task.id, actors[j]));
                total += held;
            }
            uint256 count = task.segmentCount();
            for (uint32 segment = 0; segment < count; ++segment) {
                Slot memory slot = court.slotOf(task.id, segment);
                if (slot.state == SlotState.None) continue;
                total += _sumOfSegment(CourtKeys.slotKey(task.id, segment), slot);
            }
        }
        for (uint256 i = 0; i < _bonds.length; ++i) {
            (, uint96 held) = vault.engagementOf(address(court), _bonds[i]);
            total += held;
        }
        for (uint256 i = 0; i < _pieces.length; ++i) {
            (, uint96 held) = vault.engagementOf(address(demands), demands.idOf(_pieces[i]));
            total += held;
        }
    }

    /// @dev Of the rounds drawn, or called up: were there more, the vault would hold more than this.
    function _sumOfSegment(bytes32 key, Slot memory slot) private view returns (uint256 total) {
        for (uint256 round = _firstRound(slot); round <= slot.round; ++round) {
            for (uint256 i = 0; i < actors.length; ++i) {
                (, uint96 held) = vault.engagementOf(address(court), CourtKeys.engagement(key, round, actors[i]));
                total += held;
            }
        }
    }

    function endings(TaskState state) external view returns (uint256 count) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            if (market.stateOf(_tasks[i].id) == state) ++count;
        }
    }

    // Helpers

    function _blindKey(Blind memory blind) private pure returns (bytes32) {
        return keccak256(abi.encode("blind", blind.claimant, blind.commitment));
    }

    function _actor(uint256 seed) private view returns (address) {
        return actors[seed % actors.length];
    }

    function _taskIndex(uint256 id) private pure returns (uint256) {
        return id - 1;
    }

    /// @dev Makes a task the one that `Scene`'s functions act on.
    function _load(uint256 seed) private returns (uint256 index) {
        require(_tasks.length != 0, "no task yet");
        index = seed % _tasks.length;
        terms = _tasks[index];
        solver = market.solverOf(terms.id);
        uint256 count = terms.segmentCount();
        checkpoints = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            checkpoints[i] = _bad[index] >> i & 1 == 0 ? honestEnd(i) : keccak256(abi.encode("bad", i));
        }
        if (terms.isStacked()) checkpoints[0] = terms.initProgram;
    }

    /// @dev As `_load`, of a task in one of these states, where there is one: most calls are to do something, in long runs too.
    function _loadIn(uint256 seed, TaskState first, TaskState last) private returns (uint256 index) {
        for (uint256 i = 0; i < _tasks.length; ++i) {
            index = addmod(seed, i, _tasks.length);
            TaskState state = market.stateOf(_tasks[index].id);
            if (state >= first && state <= last) return _load(index);
        }
        return _load(seed);
    }

    /// @dev A drawn segment, where there is one.
    function _segment(uint256 seed) private view returns (uint32 segment) {
        uint256 count = terms.segmentCount();
        for (uint256 i = 0; i < count; ++i) {
            segment = uint32((seed + i) % count);
            if (stateOf(segment) != SlotState.None) return segment;
        }
    }

    function _endRoot(uint32 segment, uint8 choice) private view returns (bytes32) {
        if (choice < 128) return honestEnd(segment);
        return choice < 200 ? checkpoints[segment] : bytes32("other");
    }
}
