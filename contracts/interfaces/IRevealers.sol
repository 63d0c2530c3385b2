// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice Numbers of the panel of revealers, fixed at construction.
struct RevealParameters {
    uint8 seats; // at most 8; 0: no panel, values are block hashes
    uint96 bond; // of a seat; lost whole with the first secret that is missing
    uint32 windowBlocks; // after the target, in which secrets may be revealed
    uint16 tipBps; // of a lost bond, to who called time; the rest goes to the treasury
}

/// @notice A place on the panel.
struct Seat {
    address account;
    uint40 joinedAt; // block
    uint40 leftAt; // block in which it left or was struck; 0 while on the panel
    bool struck; // its bond is gone
    bytes32 root; // of the tree over its secrets
    uint64 first; // block of the first secret
    uint32 count; // secrets, one a block
}

/// @notice A request as it stands.
struct Draw {
    uint64 target; // 0: never requested
    uint8 members; // seats whose secrets it needs, one bit a seat
    uint8 missing; // those that have not revealed
    bool recorded;
}

/// @title The panel of revealers: bonded accounts that committed to a secret for every block to come.
/// @notice A value asked for in block R has target T = R + delay. It needs, from everybody on the panel in R, the secret for T, which may
/// be revealed once T is made and until `windowBlocks` later. Each secret was fixed, and the panel was, before anybody knew T's hash; T's
/// builder chose its block before it knew the secrets. Who withholds loses its bond, and the value is drawn again from a later block by
/// those of its members that are left; nobody who takes part in a further draw knows what it gives.
/// @dev The leaf of block T is `H(0x00 || account (20) || T (u64) || secret (32))`, in an RFC 9162 tree of `count` leaves.
interface IRevealers {
    event Joined(uint8 indexed seat, address indexed account, bytes32 root, uint64 first, uint32 count);
    event Left(uint8 indexed seat, address indexed account);
    event Vacated(uint8 indexed seat, address indexed account);
    event Revealed(uint64 indexed targetBlock, uint8 indexed seat, bytes32 secret);
    /// @notice A value had secrets missing after its window; `targetBlock` is the one that failed.
    event Struck(address indexed consumer, bytes32 indexed key, uint64 targetBlock, uint8 missing);
    event BondLost(uint8 indexed seat, address indexed account, address indexed caller, uint96 tip);

    /// @notice Thrown when every seat is taken.
    error NoSeat();
    /// @notice Thrown when an account that has a seat asks for another.
    error AlreadySeated(address account);
    /// @notice Thrown when the account, or the seat, has nobody on the panel.
    error NotSeated();
    /// @notice Thrown when a tree has no secret for the next request, or none after it.
    error BadSecrets();
    /// @notice Thrown when a seat is to be given up while draws that need it may be open.
    error SeatHeld(uint64 untilBlock);
    /// @notice Thrown when a secret comes outside its window (blocks, both included).
    error WrongRevealWindow(uint64 opens, uint64 closes);
    /// @notice Thrown when a secret was revealed before.
    error AlreadyRevealed(uint64 targetBlock, uint8 seat);
    /// @notice Thrown when a secret is not the one committed to.
    error WrongSecret();
    /// @notice Thrown when time is called on a draw that lacks nothing.
    error NothingMissing();

    /// @notice Takes a seat and locks its bond. The tree has one secret for each of `count` blocks from `first` on.
    /// @dev Who runs out of secrets and has not left by then withholds.
    function join(bytes32 root, uint64 first, uint32 count) external returns (uint8 seat);
    /// @notice Takes the caller off the panel: no later request needs it. The bond stays for those that are open.
    function stepDown() external;
    /// @notice Anybody: frees a seat whose account left long enough ago; the bond goes back, unless it was lost.
    function vacate(uint8 seat) external;
    /// @notice Anybody who has it: reveals a seat's secret for a target block.
    function reveal(uint8 seat, uint64 targetBlock, bytes32 secret, bytes32[] calldata proof) external;
    /// @notice Anybody: calls time on a draw with secrets missing. Their seats lose the bond, a tip of it goes to the caller; the value
    /// is drawn again from a later block, by those of its members who revealed and are still on the panel.
    function strike(address consumer, bytes32 key) external;

    function drawOf(address consumer, bytes32 key) external view returns (Draw memory);
    function seatAt(uint8 seat) external view returns (Seat memory);
    /// @notice The account's seat and whether it has one, on the panel or leaving it.
    function seatOf(address account) external view returns (bool seated, uint8 seat);
    /// @notice Seats on the panel, one bit a seat.
    function panel() external view returns (uint8);
    function isRevealed(uint64 targetBlock, uint8 seat) external view returns (bool);
    /// @notice Blocks a seat and its bond are held after it has left.
    function holdBlocks() external view returns (uint64);
    function revealParameters() external view returns (RevealParameters memory);
}
