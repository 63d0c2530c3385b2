// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token anybody may mint without limit.
contract MintableToken is ERC20 {
    constructor() ERC20("Mintable", "MINT") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @title A token that keeps one percent of every transfer.
contract FeeToken is MintableToken {
    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : amount / 100;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

/// @title A token that refuses to pay some accounts.
contract BlockingToken is MintableToken {
    mapping(address account => bool) public blocked;

    error Blocked(address account);

    function setBlocked(address account, bool value) external {
        blocked[account] = value;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[to], Blocked(to));
        super._update(from, to, amount);
    }
}

/// @title A token that calls back into the vault while it transfers.
contract CallbackToken is MintableToken {
    address public target;
    bytes public call;

    function arm(address target_, bytes calldata call_) external {
        (target, call) = (target_, call_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (target == address(0)) return;
        address callee = target;
        target = address(0);
        (bool success, bytes memory result) = callee.call(call);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
    }
}
