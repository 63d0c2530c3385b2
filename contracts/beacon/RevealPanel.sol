// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Merkle} from "../commitments/Merkle.sol";
import {IRevealers, RevealParameters, Seat} from "../interfaces/IRevealers.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ParametersLib} from "../types/Parameters.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

/// @title Seats, bonds and secrets of the panel.
abstract contract RevealPanel is IRevealers {
    /// @dev One bit a seat.
    uint256 internal constant MAX_SEATS = 8;
    /// @dev Windows that a seat is held after it left: one in which the last draw's secrets are due, the rest to call time in.
    uint256 internal constant HOLD_WINDOWS = 4;
    /// @dev EIP-2935 serves so many blocks.
    uint256 internal constant MAX_WINDOW = 8000;

    IStakeVault public immutable vault;
    address public immutable treasury;
    uint64 internal immutable _delay;
    uint8 private immutable _seatCount;
    uint96 private immutable _bond;
    uint32 internal immutable _window;
    uint16 private immutable _tipBps;

    /// @inheritdoc IRevealers
    uint8 public panel;
    mapping(uint256 seat => Seat) private _seats;
    /// @dev Seat + 1.
    mapping(address account => uint256) private _seatOf;
    /// @dev H(block hash, secret): a draw that has its secrets needs the chain's memory no more.
    mapping(uint256 targetAndSeat => bytes32) private _reveals;

    constructor(IStakeVault vault_, address treasury_, uint64 delay_, RevealParameters memory p) {
        require(p.seats <= MAX_SEATS, ParametersLib.BadParameters("seats"));
        require(p.seats == 0 || p.bond != 0, ParametersLib.BadParameters("bond"));
        require(p.windowBlocks != 0 && p.windowBlocks <= MAX_WINDOW, ParametersLib.BadParameters("windowBlocks"));
        // INVARIANT: who withholds and calls time on itself loses at least half of its bond.
        require(p.tipBps <= ParametersLib.WHOLE / 2, ParametersLib.BadParameters("tipBps"));
        (vault, treasury, _delay) = (vault_, treasury_, delay_);
        (_seatCount, _bond, _window, _tipBps) = (p.seats, p.bond, p.windowBlocks, p.tipBps);
    }

    /// @inheritdoc IRevealers
    function join(bytes32 root, uint64 first, uint32 count) external returns (uint8 seat) {
        require(_seatOf[msg.sender] == 0, AlreadySeated(msg.sender));
        // INVARIANT: a seat has a secret for whatever may be asked for from now on, and for one block at least.
        uint256 next = block.number + _delay;
        require(first <= next && uint256(first) + count > next, BadSecrets());
        while (seat < _seatCount && _seats[seat].account != address(0)) ++seat;
        require(seat < _seatCount, NoSeat());
        _seats[seat] = Seat(msg.sender, uint40(block.number), 0, false, root, first, count);
        _seatOf[msg.sender] = uint256(seat) + 1;
        panel |= uint8(1 << seat);
        emit Joined(seat, msg.sender, root, first, count);
        vault.lock(_bondOf(seat), msg.sender, _bond);
    }

    /// @inheritdoc IRevealers
    function stepDown() external {
        uint256 found = _seatOf[msg.sender];
        require(found != 0 && _seats[found - 1].leftAt == 0, NotSeated());
        _takeOff(uint8(found - 1));
        emit Left(uint8(found - 1), msg.sender);
    }

    /// @inheritdoc IRevealers
    function vacate(uint8 seat) external {
        Seat memory held = _seats[seat];
        require(held.leftAt != 0, NotSeated());
        // INVARIANT: a bond outlives every draw that needs its seat's secret.
        uint256 until = held.leftAt + holdBlocks();
        require(block.number > until, SeatHeld(uint64(until)));
        delete _seats[seat];
        delete _seatOf[held.account];
        emit Vacated(seat, held.account);
        if (!held.struck) vault.release(_bondOf(seat), _bond);
    }

    /// @inheritdoc IRevealers
    function reveal(uint8 seat, uint64 targetBlock, bytes32 secret, bytes32[] calldata proof) external {
        Seat memory held = _seats[seat];
        require(held.account != address(0), NotSeated());
        // INVARIANT: a secret counts only where it was committed to before the target's hash was known, in a request's block at the latest.
        uint64 opens = held.joinedAt + _delay > targetBlock ? type(uint64).max : targetBlock + 1;
        // INVARIANT: the target's builder does not know the secrets; and what has come when the window closes stays what it is.
        require(
            block.number >= opens && block.number <= uint256(targetBlock) + _window,
            WrongRevealWindow(opens, targetBlock + _window)
        );
        uint256 place = _place(targetBlock, seat);
        require(_reveals[place] == 0, AlreadyRevealed(targetBlock, seat));
        // A block before `first` wraps to a place beyond the tree.
        uint256 index;
        unchecked {
            index = uint256(targetBlock) - held.first;
        }
        bytes32 leaf = sha256(abi.encodePacked(uint8(0), held.account, targetBlock, secret));
        require(Merkle.rootFromInclusion(held.count, index, leaf, proof) == held.root, WrongSecret());
        bytes32 blockHash = Blockhash.blockHash(targetBlock);
        // On a chain without EIP-2935 a window of more than 256 blocks is no longer than those.
        require(blockHash != 0, WrongRevealWindow(opens, targetBlock + 256));
        _reveals[place] = keccak256(abi.encode(blockHash, secret));
        emit Revealed(targetBlock, seat, secret);
    }

    // Views

    /// @inheritdoc IRevealers
    function seatAt(uint8 seat) external view returns (Seat memory) {
        return _seats[seat];
    }

    /// @inheritdoc IRevealers
    function seatOf(address account) external view returns (bool seated, uint8 seat) {
        uint256 found = _seatOf[account];
        return found == 0 ? (false, 0) : (true, uint8(found - 1));
    }

    /// @inheritdoc IRevealers
    function isRevealed(uint64 targetBlock, uint8 seat) external view returns (bool) {
        return _reveals[_place(targetBlock, seat)] != 0;
    }

    /// @inheritdoc IRevealers
    function holdBlocks() public view returns (uint64) {
        return _delay + uint64(HOLD_WINDOWS * _window);
    }

    /// @inheritdoc IRevealers
    function revealParameters() external view returns (RevealParameters memory) {
        return RevealParameters(_seatCount, _bond, _window, _tipBps);
    }

    // For the beacon

    /// @dev All of the members' secrets for a target, in the order of their seats, as one hash (zero: none), and who is missing.
    function _collect(uint64 target, uint8 members) internal view returns (bytes32 mix, uint8 missing) {
        for (uint8 seat = 0; members >> seat != 0; ++seat) {
            if (members >> seat & 1 == 0) continue;
            bytes32 revealed = _reveals[_place(target, seat)];
            if (revealed == 0) missing |= uint8(1 << seat);
            else mix = keccak256(abi.encode(mix, revealed));
        }
    }

    /// @dev Takes the bonds of the seats that did not reveal for a target, where they are still there to be taken.
    function _forfeit(uint64 target, uint8 missing) internal {
        for (uint8 seat = 0; missing >> seat != 0; ++seat) {
            if (missing >> seat & 1 == 0) continue;
            Seat memory held = _seats[seat];
            // Lost in another draw already; or another account's by now, which owes this draw nothing.
            if (held.struck || held.account == address(0) || held.joinedAt + _delay > target) continue;
            if (held.leftAt == 0) _takeOff(seat);
            _seats[seat].struck = true;
            uint96 tip = uint96(uint256(_bond) * _tipBps / ParametersLib.WHOLE);
            emit BondLost(seat, held.account, msg.sender, tip);
            address[] memory to = new address[](1);
            uint96[] memory amounts = new uint96[](1);
            (to[0], amounts[0]) = (msg.sender, tip);
            // INVARIANT: nobody who may gain by another draw is paid by a missing secret but for the tip.
            vault.distribute(_bondOf(seat), to, amounts, treasury);
        }
    }

    function _takeOff(uint8 seat) private {
        _seats[seat].leftAt = uint40(block.number);
        panel &= ~uint8(1 << seat);
    }

    function _place(uint64 target, uint8 seat) private pure returns (uint256) {
        return uint256(target) << 8 | seat;
    }

    /// @dev Engagement of a seat's bond in the vault.
    function _bondOf(uint8 seat) private pure returns (bytes32) {
        return bytes32(uint256(seat));
    }
}
