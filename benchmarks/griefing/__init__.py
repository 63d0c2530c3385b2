"""Moves that harm another, played on a real chain: what they cost the victim, and what the attacker."""
