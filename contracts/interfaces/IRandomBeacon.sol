// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Values that are fixed only after what they decide is committed.
/// @notice A later block's hash mixed with a secret of every revealer on the panel (`IRevealers`). Without revealers: the hash alone,
/// recorded by anybody while the chain still knows it (256 blocks, or EIP-2935's 8,191).
interface IRandomBeacon {
    /// @param members Seats whose secrets the value needs, one bit a seat.
    event Requested(address indexed consumer, bytes32 indexed key, uint64 targetBlock, uint8 members);
    event Recorded(address indexed consumer, bytes32 indexed key, bytes32 value);

    /// @notice Thrown when anybody but the deployment's market and court asks for a value: each request costs revealers gas.
    error NotConsumer(address caller);
    /// @notice Thrown when a key is requested twice.
    error AlreadyRequested(bytes32 key);
    /// @notice Thrown when a value is asked for that was never requested.
    error NotRequested(bytes32 key);
    /// @notice Thrown when the target block is not yet known.
    error TooEarly(uint64 targetBlock);
    /// @notice Thrown when secrets are missing (one bit a seat); after the reveal window `IRevealers.strike` is the way on.
    error Unrevealed(uint64 targetBlock, uint8 missing);
    /// @notice Thrown when the target block's hash is no longer known; `renew` is the way out.
    error Expired(uint64 targetBlock);
    /// @notice Thrown when a request that has not expired is to be renewed.
    error NotExpired(uint64 targetBlock);

    /// @notice Asks for a value under the caller's key; the panel is the one of this moment.
    function request(bytes32 key) external returns (uint64 targetBlock);
    /// @notice Fixes and returns the value; anybody may, for any consumer. Its low 40 bits are the block whose hash decides.
    function record(address consumer, bytes32 key) external returns (bytes32 value);
    /// @notice Anybody: asks anew for a value that needs no secret and whose block was forgotten before anybody recorded it.
    function renew(address consumer, bytes32 key) external returns (uint64 targetBlock);
    /// @notice The value, or zero while none is recorded.
    function valueOf(address consumer, bytes32 key) external view returns (bytes32 value);
    /// @notice The block whose hash decides, zero if never requested.
    function targetOf(address consumer, bytes32 key) external view returns (uint64 targetBlock);
    /// @notice Blocks from a request to its target.
    function delay() external view returns (uint64);
}
