"""What honesty is worth: inequalities, the exact payouts of a task's history, populations and their best replies.

``docs/ECONOMICS.md`` derives the formulas. Nothing here talks to a chain; amounts are base units or multiples of c, the
price of replaying a task's dearest segment.
"""
