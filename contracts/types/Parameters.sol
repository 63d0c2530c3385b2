// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice A deployment's numbers: fixed by the constructors, readable from `TaskMarket.parameters()`.
/// @dev C is a task's fee, c the cost of replaying its dearest segment (`docs/PROTOCOL.md`). Windows are in seconds. What only disputes
/// need is `DisputeParameters`.
struct Parameters {
    // deposits, as multiples
    uint16 solverDepositMultiple; // of C
    uint16 claimDepositMultiple; // of c
    uint16 missMultiple; // of c; at most the claim deposit
    // what a submitter must offer, as multiples of c
    uint16 minWageMultiple;
    uint16 minLevyMultiple;
    // shares, in 1/10,000
    uint16 marginBps; // escrowed above the fee
    uint16 finderBps; // of a slashed deposit, to finders
    uint16 compensationBps; // of the fee, to the submitter from the solver's slash
    uint16 clearedSolverBps; // of the slash of a claim that condemned good work, to the solver
    // forced errors
    uint16 forcedBps; // of assignments, in 1/10,000; 0: none, and verifiers need no secrets
    uint16 jackpotMultiple; // J, of c: what a forced error pays its only finder
    // flat bonds
    uint96 claimBond;
    uint96 blindBond;
    // draws
    uint96 weightUnit; // stake that makes one unit of a verifier's weight
    uint16 minAudits;
    uint8 redraws; // of a segment
    uint32 beaconDelay; // blocks from a request to the block whose hash decides
    uint32 drawWindow; // in which a commitment's audits, or a redraw, must be drawn
    // windows of a task and of a claim
    uint32 acknowledgeWindow;
    uint32 claimWindow; // least; longer by the time that replaying a segment takes at `workRate`
    uint32 maxClaimWindow; // tasks that would need more are refused
    uint32 unblindWindow;
    uint32 disputeWindow;
    uint32 openingWindow; // from a task's end: in which drawn verifiers open their secrets
    uint64 workRate; // units of work a party is sure to replay in a second; 0: windows do not grow
    // the vault
    uint32 withdrawalDelay;
}

/// @title The bounds within which a deployment's numbers make sense.
library ParametersLib {
    /// @dev The whole of a share.
    uint256 internal constant WHOLE = 10_000;
    /// @dev Stake that a claim locks over the least wage, and over the least levy of a claim: more than having it locked for 18 hours is worth at
    /// ten percent a year, and four fifths of it are for the claim's gas.
    uint256 internal constant STAKE_SHARE = 1000;

    /// @notice Thrown when a number is out of its bounds; `what` names it.
    error BadParameters(string what);

    /// @notice Refuses numbers under which the contracts' guarantees would not hold.
    function check(Parameters memory p) internal pure {
        // INVARIANT: at least half of every slash goes to the treasury, so that no set of accounts gains by slashing itself.
        require(p.finderBps + p.clearedSolverBps <= WHOLE / 2, BadParameters("clearedSolverBps"));
        require(p.solverDepositMultiple != 0, BadParameters("solverDepositMultiple"));
        require(
            uint256(p.finderBps) * p.solverDepositMultiple + p.compensationBps <= WHOLE / 2 * p.solverDepositMultiple,
            BadParameters("compensationBps")
        );
        require(p.claimDepositMultiple != 0, BadParameters("claimDepositMultiple"));
        require(p.forcedBps <= WHOLE, BadParameters("forcedBps"));
        // INVARIANT: what forced errors cost in the mean is at most what a task of one audit brings in levy; a skipped one costs more than a
        // forced one pays. `5 / 4` is the most that one pays, of J.
        require(
            uint256(p.forcedBps) * p.jackpotMultiple * 5 <= uint256(p.minLevyMultiple) * WHOLE * 4
                && uint256(p.jackpotMultiple) * 5 <= uint256(p.claimDepositMultiple) * 4,
            BadParameters("jackpotMultiple")
        );
        require(p.forcedBps == 0 || p.openingWindow != 0, BadParameters("openingWindow"));
        require(p.missMultiple <= p.claimDepositMultiple, BadParameters("missMultiple"));
        require(p.weightUnit != 0, BadParameters("weightUnit"));
        // INVARIANT: nobody replays for less than it costs.
        require(p.minWageMultiple != 0, BadParameters("minWageMultiple"));
        require(p.minAudits != 0, BadParameters("minAudits"));
        // INVARIANT: the last round's number is that of called-up segments.
        require(p.redraws < type(uint8).max, BadParameters("redraws"));
        require(p.maxClaimWindow >= p.claimWindow, BadParameters("maxClaimWindow"));
        require(p.beaconDelay != 0, BadParameters("beaconDelay"));
    }
}
