// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title A sum tree of weights that remembers: draws in proportion to the weights of an earlier block.
/// @notice Whoever sees a random value before the draw is made could otherwise add or remove weight to steer it. So a draw names a
/// block, and every node answers with the sums it had at that block's end.
/// @dev Four children a node, one word: `tag u32 | weight u56 * 4`, the tag being the block the word was written in. A word that is replaced in
/// a later block is kept in `history` under the node and the replacing word's tag: a linked list back in time, at most one
/// link a block. Nodes are numbered `level << 32 | index`, leaves being the children of level 0; the tree grows a level
/// when it is full. Reading costs one slot a level, plus one a block in which that node changed since.
library SortitionTree {
    uint256 private constant ARITY_BITS = 2;
    uint256 private constant WEIGHT_BITS = 56;
    uint256 private constant TAG_SHIFT = 4 * WEIGHT_BITS;

    /// @notice Largest weight of a leaf: 2^24 of them fit a sum.
    uint256 internal constant MAX_WEIGHT = type(uint32).max;
    /// @notice Most leaves.
    uint256 internal constant MAX_LEAVES = 1 << 24;

    /// @notice Thrown when a tree has all the leaves it can have.
    error TreeFull();

    /// @notice Who has a leaf, and 96 bits that the tree's owner keeps beside it.
    struct Seat {
        address account;
        uint96 note;
    }

    struct Tree {
        mapping(uint256 node => uint256) words;
        mapping(uint256 nodeAndTag => uint256) history;
        mapping(uint256 leaf => Seat) seats;
        mapping(address account => uint256) places; // leaf + 1
        uint32 leaves;
        uint8 levels;
    }

    /// @notice Weight of an account now; 0 for one that is not in the tree.
    function weightOf(Tree storage tree, address account) internal view returns (uint256) {
        uint256 place = tree.places[account];
        return place == 0 ? 0 : _child(tree.words[(place - 1) >> ARITY_BITS], place - 1);
    }

    /// @notice What is noted beside an account; 0 for one that is not in the tree.
    function noteOf(Tree storage tree, address account) internal view returns (uint96) {
        uint256 place = tree.places[account];
        return place == 0 ? 0 : tree.seats[place - 1].note;
    }

    /// @notice Notes something beside an account; a new account gets a leaf without weight.
    function setNote(Tree storage tree, address account, uint96 note) internal {
        uint256 place = tree.places[account];
        if (place == 0) place = _append(tree, account);
        tree.seats[place - 1].note = note;
    }

    /// @notice Sets an account's weight, at most `MAX_WEIGHT`; a new account gets the next leaf, which it keeps.
    function set(Tree storage tree, address account, uint256 weight) internal {
        uint256 place = tree.places[account];
        if (place == 0) place = _append(tree, account);
        uint256 leaf = place - 1;
        uint256 levels = tree.levels;
        for (uint256 level = 0; level < levels; ++level) {
            weight = _write(tree, level, leaf, weight);
            leaf >>= ARITY_BITS;
        }
    }

    /// @notice The account that `random` draws among the weights at the end of `atBlock`, with that weight, and its note; zero if there were none.
    function draw(Tree storage tree, uint256 atBlock, uint256 random)
        internal
        view
        returns (address account, uint256 weight, uint96 note)
    {
        uint256 level = tree.levels;
        uint256 word = 0;
        // Levels that the tree did not have yet at that block are empty; below them index 0 is what was its root.
        while (level != 0 && word == 0) word = _wordAt(tree, --level << 32, atBlock);
        uint256 total = _sum(word);
        if (total == 0) return (address(0), 0, 0);
        random %= total;
        uint256 index = 0;
        while (true) {
            index <<= ARITY_BITS;
            weight = _child(word, index);
            while (random >= weight) {
                random -= weight;
                weight = _child(word, ++index);
            }
            if (level == 0) {
                Seat memory seat = tree.seats[index];
                return (seat.account, weight, seat.note);
            }
            --level;
            word = _wordAt(tree, level << 32 | index, atBlock);
        }
    }

    function _append(Tree storage tree, address account) private returns (uint256 place) {
        uint256 leaf = tree.leaves;
        uint256 levels = tree.levels;
        require(leaf < MAX_LEAVES, TreeFull());
        if (leaf == (levels == 0 ? 0 : 1 << (ARITY_BITS * levels))) {
            // The old root becomes child 0 of a new one.
            if (levels != 0) _write(tree, levels, 0, _sum(tree.words[(levels - 1) << 32]));
            tree.levels = uint8(levels + 1);
        }
        tree.leaves = uint32(leaf + 1);
        tree.seats[leaf].account = account;
        place = leaf + 1;
        tree.places[account] = place;
    }

    /// @dev Sets child `index` (counted over the whole level) and returns the node's new sum.
    function _write(Tree storage tree, uint256 level, uint256 index, uint256 weight) private returns (uint256) {
        uint256 node = level << 32 | index >> ARITY_BITS;
        uint256 word = tree.words[node];
        uint256 tag = word >> TAG_SHIFT;
        if (tag != block.number && tag != 0) tree.history[node << 32 | block.number] = word;
        uint256 shift = (index & 3) * WEIGHT_BITS;
        uint256 mask = ((1 << WEIGHT_BITS) - 1) << shift | uint256(type(uint32).max) << TAG_SHIFT;
        word = word & ~mask | weight << shift | block.number << TAG_SHIFT;
        tree.words[node] = word;
        return _sum(word);
    }

    /// @dev A node's word as it was at the end of `atBlock`, zero before its first.
    function _wordAt(Tree storage tree, uint256 node, uint256 atBlock) private view returns (uint256 word) {
        word = tree.words[node];
        while (word >> TAG_SHIFT > atBlock) word = tree.history[node << 32 | word >> TAG_SHIFT];
    }

    function _child(uint256 word, uint256 index) private pure returns (uint256) {
        return word >> ((index & 3) * WEIGHT_BITS) & ((1 << WEIGHT_BITS) - 1);
    }

    function _sum(uint256 word) private pure returns (uint256) {
        return _child(word, 0) + _child(word, 1) + _child(word, 2) + _child(word, 3);
    }
}
